//! Statements, values, transactions: the same on both engines.

use std::cell::Cell;

use snowguard_db::{Bulk, Database, DbError, Dialect, Session, Trouble, Value};
use snowguard_testkit::on_both_engines;
use snowguard_testkit::postgres::Cluster;

/// A table with every kind of column.
fn table(db: &Database) {
    db.write(|session| {
        let sql = session.dialect().schema(
            "CREATE TABLE sample (id {id}, n {int}, r {real}, t {text}, b {bytes}, UNIQUE (n)) {table}; \
             CREATE INDEX sample_by_text ON sample (t, id);",
        );
        session.batch(&sql)
    })
    .unwrap();
}

fn numbers(session: &mut dyn Session, sql: &str, parameters: &[Value<'_>]) -> Vec<i64> {
    session
        .query(sql, parameters)
        .unwrap()
        .map(|row| row.get(0))
        .unwrap()
}

fn add(session: &mut dyn Session, n: i64, t: &str) -> Result<u64, DbError> {
    session.execute(
        "INSERT INTO sample (n, t) VALUES ($1, $2)",
        &[n.into(), t.into()],
    )
}

fn count(db: &Database) -> i64 {
    db.read(|session| {
        session
            .query("SELECT count(*) FROM sample", &[])?
            .first()
            .unwrap()
            .get(0)
    })
    .unwrap()
}

on_both_engines! {
    fn every_value_comes_back_as_it_went_in(db) {
        table(db);
        let text = "naïve \u{1f980} 'quoted' \"$1\" {in:1}";
        let rows: Vec<[Value<'_>; 4]> = vec![
            [i64::MIN.into(), (-1.5).into(), text.into(), (&[0_u8, 255, 1][..]).into()],
            [i64::MAX.into(), f64::MAX.into(), "".into(), (&[][..] as &[u8]).into()],
            [Value::Null, Value::Null, Value::Null, Value::Null],
        ];
        let ids: Vec<i64> = db
            .write(|session| {
                rows.iter()
                    .map(|row| {
                        let sql = "INSERT INTO sample (n, r, t, b) VALUES ($1, $2, $3, $4) RETURNING id";
                        session.query(sql, row)?.first().unwrap().get(0)
                    })
                    .collect()
            })
            .unwrap();
        let found = db
            .read(|session| session.query("SELECT n, r, t, b FROM sample WHERE id {in:1} ORDER BY id", &[(&ids).into()]))
            .unwrap();
        let found: Vec<_> = found.iter().map(|row| row.values().to_vec()).collect();
        assert_eq!(found, rows);
    }

    fn sums_averages_and_comparisons_are_numbers(db) {
        table(db);
        let row = db
            .write(|session| {
                for n in [1, 2, 4] {
                    add(session, n, "x")?;
                }
                let sql = "SELECT count(*), sum(n), max(n), sum(n) > 5, CAST(sum(n) * 100000 AS {int}), avg(CAST(n AS {real})) FROM sample";
                session.query(&session.dialect().schema(sql), &[])
            })
            .unwrap();
        let row = row.first().unwrap();
        assert_eq!(
            row.values()[..5],
            [3.into(), 7.into(), 4.into(), 1.into(), 700_000.into()]
        );
        assert!((row.get::<f64>(5).unwrap() - 7.0 / 3.0).abs() < 1e-9);
    }

    fn text_is_in_the_order_of_its_code_points(db) {
        table(db);
        let words = ["Zebra", "a", "B", "é", "_", "a-b", "aB", "ab"];
        let found = db
            .write(|session| {
                for (n, word) in (0..).zip(words) {
                    add(session, n, word)?;
                }
                session
                    .query("SELECT t FROM sample ORDER BY t", &[])?
                    .map(|row| row.get::<String>(0))
            })
            .unwrap();
        let mut sorted = words.to_vec();
        sorted.sort_unstable();
        assert_eq!(found, sorted);
    }

    fn lists_of_any_length_are_one_parameter(db) {
        table(db);
        db.write(|session| {
            for n in 0..20 {
                add(session, n, &format!("t{n}"))?;
            }
            let some = numbers(session, "SELECT n FROM sample WHERE n {in:2} AND n < $1 ORDER BY n", &[10.into(), vec![3_i64, 11, 5, -1].into()]);
            assert_eq!(some, [3, 5]);
            assert!(numbers(session, "SELECT n FROM sample WHERE n {in:1}", &[Vec::<i64>::new().into()]).is_empty());
            let texts = vec!["t7".to_owned(), "t' OR 1=1".to_owned(), "t\"8".to_owned()];
            assert_eq!(numbers(session, "SELECT n FROM sample WHERE t {in:1}", &[texts.into()]), [7]);
            let rest = numbers(session, "SELECT count(*) FROM sample WHERE NOT (n {in:1})", &[vec![1_i64, 2].into()]);
            assert_eq!(rest, [18]);
            Ok(())
        })
        .unwrap();
    }

    fn many_rows_are_written_changed_and_removed_at_once(db) {
        table(db);
        let rows = |from: i64, to: i64, text: &'static str| -> Vec<Vec<Value<'static>>> {
            (from..to)
                .map(|n| vec![n.into(), text.into(), Value::Null, Value::Real(0.5)])
                .collect()
        };
        let upsert = Bulk::new("sample")
            .int("n")
            .text("t")
            .bytes("b")
            .real("r")
            .then("ON CONFLICT (n) DO UPDATE SET t = excluded.t WHERE sample.t <> excluded.t");
        db.write(|session| {
            assert_eq!(session.insert_many(&upsert, &[])?, 0);
            // More than goes into one statement.
            assert_eq!(session.insert_many(&upsert, &rows(0, 12_000, "old"))?, 12_000);
            assert_eq!(session.insert_many(&upsert, &rows(0, 10, "old"))?, 0);
            assert_eq!(session.insert_many(&upsert, &rows(11_990, 12_010, "new"))?, 20);
            let update = Bulk::new("sample").int("n").key().text("t").bytes("b");
            let changed = vec![
                vec![1.into(), "one".into(), (&[1_u8][..]).into()],
                vec![2.into(), "two".into(), Value::Null],
                vec![99_999.into(), "none".into(), Value::Null],
            ];
            assert_eq!(session.update_many(&update, &changed)?, 2);
            let delete = Bulk::new("sample").int("n").text("t").key();
            let gone = vec![
                vec![1.into(), "one".into()],
                vec![2.into(), "old".into()],
            ];
            assert_eq!(session.delete_many(&delete, &gone)?, 1);
            assert_eq!(numbers(session, "SELECT count(*) FROM sample", &[]), [12_009]);
            assert_eq!(numbers(session, "SELECT n FROM sample WHERE t = 'two'", &[]), [2]);
            assert_eq!(numbers(session, "SELECT count(*) FROM sample WHERE t = 'new'", &[]), [20]);
            Ok(())
        })
        .unwrap();
    }

    fn rows_of_another_shape_are_refused(db) {
        table(db);
        let bulk = Bulk::new("sample").int("n").text("t");
        let short = db.write(|session| session.insert_many(&bulk, &[vec![1.into()]]));
        assert!(matches!(short, Err(DbError::Shape { .. })), "{short:?}");
        let keyless = db.write(|session| session.update_many(&bulk, &[vec![1.into(), "x".into()]]));
        assert!(matches!(keyless, Err(DbError::Shape { .. })), "{keyless:?}");
        assert_eq!(count(db), 0);
    }

    fn a_change_is_whole_or_not_at_all(db) {
        table(db);
        let failed: Result<(), DbError> = db.write(|session| {
            add(session, 1, "a")?;
            Err(DbError::Location { reason: "none".to_owned() })
        });
        assert!(failed.is_err());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            db.write(|session| -> Result<(), DbError> {
                add(session, 2, "b")?;
                panic!("in the middle of a change")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(count(db), 0);
        db.write(|session| add(session, 3, "c")).unwrap();
        assert_eq!(count(db), 1);
    }

    fn a_statement_that_failed_is_not_passed_over(db) {
        table(db);
        let swallowed = db.write(|session| {
            add(session, 1, "a")?;
            let twice = add(session, 1, "b");
            assert!(twice.is_err_and(|error| error.is_duplicate()));
            Ok(())
        });
        assert!(matches!(swallowed, Err(DbError::Aborted { .. })), "{swallowed:?}");
        assert_eq!(count(db), 0);
    }

    fn reading_cannot_write_and_sees_one_state(db) {
        table(db);
        let refused = db.read(|session| add(session, 1, "a"));
        assert_eq!(refused.unwrap_err().trouble(), Some(Trouble::ReadOnly));
        db.read(|session| {
            assert!(numbers(session, "SELECT n FROM sample", &[]).is_empty());
            db.write(|other| add(other, 1, "a")).unwrap();
            assert!(numbers(session, "SELECT n FROM sample", &[]).is_empty());
            Ok(())
        })
        .unwrap();
        assert_eq!(count(db), 1);
    }

    fn refusals_are_told_apart(db) {
        let run = |sql: &str| {
            db.write(|session| session.execute(sql, &[])).unwrap_err().trouble()
        };
        let insert = "INSERT INTO channel (id, name, position, followed) VALUES ";
        assert_eq!(run(&format!("{insert} (1, 'a', 1, 1), (1, 'b', 2, 1)")), Some(Trouble::Duplicate));
        assert_eq!(run(&format!("{insert} (1, 'a', 1, 7)")), Some(Trouble::Rule));
        assert_eq!(run(&format!("{insert} (1, NULL, 1, 1)")), Some(Trouble::Rule));
        assert_eq!(run("INSERT INTO alias (name, advisory) VALUES ('CVE-1', 5)"), Some(Trouble::Reference));
        assert_eq!(run("SELEKT"), Some(Trouble::Other));
    }

    fn text_with_nul_and_values_of_other_kinds_are_refused(db) {
        table(db);
        let nul = db.write(|session| add(session, 1, "a\0b"));
        assert!(nul.is_err());
        let kind = db.write(|session| {
            session.execute("INSERT INTO sample (n) VALUES ($1)", &["one".into()])
        });
        assert!(kind.is_err());
        let missing = db.write(|session| {
            session.execute("INSERT INTO sample (n, t) VALUES ($1, $2)", &[1.into()])
        });
        assert!(missing.is_err());
        assert_eq!(count(db), 0);
    }

    fn an_error_among_the_rows_ends_the_query_and_not_the_connection(db) {
        table(db);
        db.write(|session| {
            for n in 0..1000 {
                add(session, n, "x")?;
            }
            Ok(())
        })
        .unwrap();
        db.read(|session| {
            let seen = Cell::new(0);
            let ended = session.for_each("SELECT n FROM sample ORDER BY n", &[], &mut |row| {
                seen.set(seen.get() + 1);
                if seen.get() == 3 {
                    row.get::<String>(0)?;
                }
                Ok(())
            });
            assert!(matches!(ended, Err(DbError::Column { column: 0, .. })), "{ended:?}");
            assert_eq!(seen.get(), 3);
            assert_eq!(numbers(session, "SELECT max(n) FROM sample", &[]), [999]);
            Ok(())
        })
        .unwrap();
    }

    fn statements_are_counted_and_their_plans_looked_at(db) {
        table(db);
        let (watched, observed) = db.observed();
        watched
            .write(|session| {
                session.query("SELECT n FROM sample WHERE t = $1", &["a".into()])?;
                session.query("SELECT n FROM sample WHERE id {in:1}", &[vec![1_i64, 2].into()])?;
                session.query("SELECT n FROM sample WHERE r > $1", &[0.5.into()])?;
                session.query("SELECT t FROM sample ORDER BY t", &[])?;
                session.execute("UPDATE sample SET t = 'x' WHERE b = $1", &[(&[1_u8][..]).into()])?;
                session.insert_many(&Bulk::new("sample").int("n"), &[vec![1.into()], vec![2.into()]])
            })
            .unwrap();
        assert_eq!(observed.count(), 6);
        let seen = observed.take();
        assert_eq!(seen[5].rows, 2);
        assert_eq!(observed.count(), 0);
        let whole: Vec<bool> = seen
            .iter()
            .map(|seen| db.scans(seen).unwrap().iter().any(|scan| scan.table == "sample"))
            .collect();
        assert_eq!(whole, [false, false, true, true, true, false]);
    }

    fn a_database_is_tended_while_it_is_used(db) {
        table(db);
        db.write(|session| add(session, 1, "a")).unwrap();
        db.tend().unwrap();
        assert_eq!(count(db), 1);
        db.tend().unwrap();
    }

    fn a_handle_may_be_dropped_where_a_runtime_runs(db) {
        table(db);
        let name = match db.path() {
            Some(path) => path.display().to_string(),
            None => {
                let sql = "SELECT CAST(current_database() AS TEXT)";
                let rows = db.read(|session| session.query(sql, &[])).unwrap();
                Cluster::shared().unwrap().url(rows.first().unwrap().get(0).unwrap())
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = Database::open(&name).unwrap();
        assert_eq!(count(&handle), 0);
        runtime.block_on(async move { drop(handle) });
        let blocking = Database::open(&name).unwrap();
        let found = runtime.block_on(async move {
            tokio::task::spawn_blocking(move || count(&blocking)).await.unwrap()
        });
        assert_eq!(found, 0);
    }

    fn many_threads_write_and_read_at_once(db) {
        table(db);
        std::thread::scope(|scope| {
            for thread in 0..6_i64 {
                scope.spawn(move || {
                    for n in 0..20 {
                        db.write(|session| add(session, thread * 100 + n, "x")).unwrap();
                        assert!(count(db) > 0);
                    }
                });
            }
        });
        assert_eq!(count(db), 120);
    }

    fn deadlocks_are_done_again(db) {
        if db.dialect() == Dialect::Sqlite {
            // One writer cannot meet another.
            return;
        }
        table(db);
        db.write(|session| {
            add(session, 1, "0")?;
            add(session, 2, "0")
        })
        .unwrap();
        let met = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for (first, second) in [(1, 2), (2, 1)] {
                let met = &met;
                scope.spawn(move || {
                    let mut runs = 0;
                    db.write(|session| {
                        let sql = "UPDATE sample SET t = CAST(CAST(t AS INTEGER) + 1 AS TEXT) WHERE n = $1";
                        session.execute(sql, &[first.into()])?;
                        if runs == 0 {
                            met.wait();
                        }
                        runs += 1;
                        session.execute(sql, &[second.into()])
                    })
                    .unwrap();
                });
            }
        });
        let total = db
            .read(|session| Ok(numbers(session, "SELECT count(*) FROM sample WHERE t = '2'", &[])))
            .unwrap();
        assert_eq!(total, [2]);
    }
}
