//! Accounts, logins, tokens and the audit log, on both engines.

use jiff::{Timestamp, ToSpan as _};
use snowguard_db::people::{Audit, AuditKind, GitHubUser, Login, People as _, Scopes, Token};
use snowguard_db::{Database, DbError, Session};
use snowguard_testkit::on_both_engines;
use snowguard_triage::Role;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn write<T>(db: &Database, mut work: impl FnMut(&mut dyn Session) -> Result<T, DbError>) -> T {
    db.write(|session| work(session)).unwrap()
}

fn user(id: i64, login: &str) -> GitHubUser<'_> {
    GitHubUser { id, login }
}

fn login(byte: u8) -> Login {
    Login {
        hash: vec![byte; 32],
        created: now(),
        seen: now(),
        expires: now() + 48.hours(),
        agent: "Firefox".into(),
    }
}

on_both_engines! {
    fn an_account_follows_the_number_and_not_the_login(db) {
        write(db, |s| s.execute("INSERT INTO maintainer (name, kind) VALUES ('Alice', 0), ('carol', 0)", &[]));
        let first = write(db, |s| s.sign_in(user(1, "alice"), now())).unwrap();
        assert_eq!(first.role, Role::Reader);
        assert!(first.maintainer.is_some(), "whatever the case of the letters");
        assert!(write(db, |s| s.set_role(first.id, Role::Security)));
        // Renamed: the same account, another maintainer.
        let renamed = write(db, |s| s.sign_in(user(1, "carol"), now())).unwrap();
        assert_eq!((renamed.id, renamed.role), (first.id, Role::Security));
        assert_ne!(renamed.maintainer, first.maintainer);
        // Another person takes the login that was given up, and nothing with it.
        let other = write(db, |s| s.sign_in(user(2, "alice"), now())).unwrap();
        assert_ne!(other.id, first.id);
        assert_eq!(other.role, Role::Reader);
        assert!(other.maintainer.is_some(), "nobody acts as alice any more");
        // And takes one that is still in use here, because GitHub says so.
        let third = write(db, |s| s.sign_in(user(3, "Carol"), now())).unwrap();
        assert_eq!(third.role, Role::Reader);
        assert_eq!(third.maintainer, None, "carol is somebody else here");
        let names: Vec<String> = write(db, |s| s.accounts("", 10)).into_iter().map(|a| a.name).collect();
        assert_eq!(names, ["alice".to_owned(), "Carol".into(), format!("carol ({})", first.id)]);
        write(db, |s| s.execute("UPDATE account SET disabled = 1 WHERE id = $1", &[other.id.into()]));
        assert_eq!(write(db, |s| s.sign_in(user(2, "alice"), now())), None);
        assert_eq!(write(db, |s| s.account(other.id)), None);
    }

    /// A login with a role by the settings is that of who first came by it.
    fn a_login_is_bound_once(db) {
        assert_eq!(db.read(|s| s.bound_login("root")).unwrap(), None);
        assert_eq!(write(db, |s| s.bind_login(user(1, "Root"))), 1);
        assert_eq!(write(db, |s| s.bind_login(user(2, "root"))), 1);
        assert_eq!(db.read(|s| s.bound_login("ROOT")).unwrap(), Some(1));
    }

    /// Who was renamed acts as before until the package set names them anew.
    fn a_maintainer_who_is_renamed_stays_one(db) {
        write(db, |s| s.execute("INSERT INTO maintainer (name, kind) VALUES ('dora', 0)", &[]));
        let first = write(db, |s| s.sign_in(user(1, "dora"), now())).unwrap();
        let renamed = write(db, |s| s.sign_in(user(1, "theodora"), now())).unwrap();
        assert_eq!(renamed.maintainer, first.maintainer);
        let other = write(db, |s| s.sign_in(user(2, "dora"), now())).unwrap();
        assert_eq!(other.maintainer, None, "who takes the old login takes nothing with it");
    }

    /// A package set tells who its maintainers are by their numbers.
    fn a_maintainer_with_a_number_is_nobody_else(db) {
        write(db, |s| s.execute("INSERT INTO maintainer (id, name, kind, github_id) VALUES (1, 'alice', 0, 11), (2, 'bob', 0, NULL)", &[]));
        let taker = write(db, |s| s.sign_in(user(99, "alice"), now())).unwrap();
        assert_eq!(taker.maintainer, None, "the name alone is not enough");
        let alice = write(db, |s| s.sign_in(user(11, "alice-renamed"), now())).unwrap();
        assert_eq!(alice.maintainer, Some(1), "the number is");
        // Who came by a name acts no longer once the number is told and is another's.
        let bob = write(db, |s| s.sign_in(user(98, "bob"), now())).unwrap();
        assert_eq!(bob.maintainer, Some(2));
        write(db, |s| s.execute("UPDATE maintainer SET github_id = 22 WHERE id = 2", &[]));
        assert_eq!(write(db, |s| s.sign_in(user(98, "bob"), now())).unwrap().maintainer, None);
    }

    /// A team's short name is nobody's login, and whoever takes it at GitHub is not the team.
    fn nobody_acts_as_a_team_by_its_name(db) {
        write(db, |s| s.execute("INSERT INTO maintainer (id, name, kind) VALUES (1, 'python', 1), (2, 'rust', 1), (3, 'Rust', 0)", &[]));
        assert_eq!(write(db, |s| s.sign_in(user(1, "python"), now())).unwrap().maintainer, None);
        assert_eq!(write(db, |s| s.sign_in(user(2, "rust"), now())).unwrap().maintainer, Some(3));
    }

    fn the_one_person_is_one(db) {
        let one = write(db, |s| s.local_account(now()));
        assert_eq!(one.role, Role::Admin);
        assert_eq!(write(db, |s| s.local_account(now())).id, one.id);
    }

    fn logins_end_by_time_by_idleness_and_by_hand(db) {
        let account = write(db, |s| s.local_account(now()));
        let other = write(db, |s| s.sign_in(user(7, "mallory"), now())).unwrap();
        for byte in [1, 2] {
            write(db, |s| s.add_login(account.id, &login(byte)));
        }
        let holds = |byte: u8, at: Timestamp| {
            db.read(|s| s.login(&[byte; 32], at, at - 24.hours())).unwrap().map(|(account, _)| account.id)
        };
        assert_eq!(holds(1, now() + 1.hours()), Some(account.id));
        assert_eq!(holds(3, now()), None);
        assert_eq!(holds(1, now() + 25.hours()), None, "idle");
        write(db, |s| s.touch_login(&[1; 32], now() + 23.hours()));
        assert_eq!(holds(1, now() + 25.hours()), Some(account.id));
        write(db, |s| s.touch_login(&[1; 32], now() + 47.hours()));
        assert_eq!(holds(1, now() + 48.hours()), None, "over, though it was used");
        assert!(!write(db, |s| s.end_login(other.id, &[2; 32])), "of somebody else");
        assert!(write(db, |s| s.end_login(account.id, &[2; 32])));
        assert_eq!(holds(2, now()), None);
        assert_eq!(write(db, |s| s.logins(account.id, now())).len(), 1);
        assert_eq!(write(db, |s| s.forget_logins(now() + 48.hours())), 1);
        write(db, |s| s.add_login(account.id, &login(4)));
        assert_eq!(write(db, |s| s.end_logins(account.id)), 1);
        assert_eq!(holds(4, now()), None);
    }

    fn tokens_hold_until_their_end_or_are_revoked_by_their_owner(db) {
        let account = write(db, |s| s.local_account(now()));
        let other = write(db, |s| s.sign_in(user(7, "mallory"), now())).unwrap();
        let token = Token {
            id: 0,
            name: "export".into(),
            scopes: Scopes::READ.and(Scopes::TRIAGE),
            created: now(),
            used: None,
            expires: now() + 24.hours(),
        };
        let id = write(db, |s| s.add_token(account.id, &[9; 32], &token));
        let (owner, found) = db.read(|s| s.token(&[9; 32], now())).unwrap().unwrap();
        assert_eq!(owner.id, account.id);
        assert_eq!(found, Token { id, ..token });
        assert!(found.scopes.has(Scopes::TRIAGE) && found.scopes.words() == ["read", "triage"]);
        assert!(db.read(|s| s.token(&[9; 32], now() + 24.hours())).unwrap().is_none());
        write(db, |s| s.touch_token(id, now() + 1.hours()));
        assert_eq!(write(db, |s| s.tokens(account.id, now()))[0].used, Some(now() + 1.hours()));
        assert_eq!(write(db, |s| s.revoke_token(other.id, id, now())), None, "of somebody else");
        assert_eq!(write(db, |s| s.revoke_token(account.id, id, now())).as_deref(), Some("export"));
        assert!(db.read(|s| s.token(&[9; 32], now())).unwrap().is_none());
        assert_eq!(write(db, |s| s.revoke_token(account.id, id, now())), None, "once");
    }

    fn only_who_maintains_all_maintains_them(db) {
        write(db, |s| s.execute("INSERT INTO maintains (maintainer, package) VALUES (1, 10), (1, 11), (2, 10)", &[]));
        let all = |maintainer, packages: &[i64]| db.read(|s| s.maintains_all(maintainer, packages)).unwrap();
        assert!(all(1, &[10, 11, 10]));
        assert!(!all(2, &[10, 11]));
        assert!(!all(3, &[10]));
    }

    fn what_happened_is_listed_from_its_end(db) {
        let account = write(db, |s| s.local_account(now()));
        for (who, kind) in [(Some(account.id), AuditKind::Login), (None, AuditKind::LoginRefused)] {
            let entry = Audit { at: now(), account: who, kind, subject: "x", detail: "", address: "192.0.2.1" };
            write(db, |s| s.audit(&entry));
        }
        let entries = db.read(|s| s.audited(None, 10)).unwrap();
        let told: Vec<_> = entries.iter().map(|e| (e.actor.as_deref(), e.kind.word())).collect();
        assert_eq!(told, [(None, "login refused"), (Some(account.name.as_str()), "login")]);
        assert_eq!(db.read(|s| s.audited(Some(entries[0].id), 10)).unwrap().len(), 1);
    }

    fn nothing_is_read_as_a_whole(db) {
        let (db, observed) = db.observed();
        write(&db, |s| {
            let account = s.local_account(now())?;
            s.sign_in(user(1, "alice"), now())?;
            s.account(account.id)?;
            s.account_named("alice")?;
            s.accounts("", 10)?;
            s.maintains_all(1, &[2, 3])?;
            s.login(&[0; 32], now(), now())?;
            s.logins(account.id, now())?;
            s.touch_login(&[0; 32], now())?;
            s.end_logins(account.id)?;
            s.forget_logins(now())?;
            s.token(&[0; 32], now())?;
            s.tokens(account.id, now())?;
            s.audited(None, 10)
        });
        // A first login may look through small tables that refer to accounts.
        let often = observed.take().into_iter().filter(|seen| !seen.sql.starts_with("INSERT"));
        for seen in often {
            let scans = db.scans(&seen).unwrap();
            assert!(scans.is_empty(), "{}: {scans:?}", seen.sql);
        }
    }
}
