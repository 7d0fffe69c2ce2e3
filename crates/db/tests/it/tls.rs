//! Encrypted connections to a server with a certificate of an authority that only the test trusts.

use snowguard_db::{Database, DbError};
use snowguard_testkit::certificates::Certificates;
use snowguard_testkit::postgres::{Cluster, Setup};

fn encrypted(db: &Database) -> bool {
    db.read(|session| {
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        session.query(sql, &[])?.first().unwrap().get(0)
    })
    .unwrap()
}

fn told(error: &DbError, port: u16) -> String {
    use std::error::Error as _;
    let text = format!(
        "{error}\n{}\nhint: {}",
        error.source().map(ToString::to_string).unwrap_or_default(),
        error.hint().unwrap_or_default()
    );
    text.replace(&port.to_string(), "PORT")
}

#[test]
fn connections_are_as_sslmode_asks() {
    let ours = Certificates::new(&["localhost"]).unwrap();
    let others = Certificates::new(&["localhost"]).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let trusted = file("trusted.pem", &ours.authority);
    let stranger = file("stranger.pem", &others.authority);
    let cluster = Cluster::start(&Setup {
        settings: vec![
            "listen_addresses = '127.0.0.1'".to_owned(),
            "ssl = on".to_owned(),
            "ssl_cert_file = '../server.pem'".to_owned(),
            "ssl_key_file = '../server.key'".to_owned(),
        ],
        method: "scram-sha-256",
        files: vec![
            ("server.pem", ours.certificate.clone()),
            ("server.key", ours.key.clone()),
        ],
    })
    .unwrap();
    cluster.database().unwrap();
    let port = cluster.port();
    let open = |host: &str, settings: &str| {
        Database::open(&format!(
            "postgres://postgres:secret@{host}:{port}/test_0?{settings}"
        ))
    };
    for (host, settings, protected) in [
        ("localhost", "", true),
        ("localhost", "sslmode=disable", false),
        ("localhost", "sslmode=prefer", true),
        ("localhost", "sslmode=require&channel_binding=require", true),
        (
            "localhost",
            &format!("sslmode=require&sslrootcert={trusted}"),
            true,
        ),
        (
            "127.0.0.1",
            &format!("sslmode=verify-ca&sslrootcert={trusted}"),
            true,
        ),
        (
            "localhost",
            &format!("sslmode=verify-full&sslrootcert={trusted}"),
            true,
        ),
    ] {
        let db = open(host, settings).unwrap_or_else(|error| panic!("{settings}: {error:?}"));
        assert_eq!(encrypted(&db), protected, "{settings}");
    }
    for (host, settings) in [
        ("localhost", "sslmode=verify-full"),
        (
            "localhost",
            &*format!("sslmode=require&sslrootcert={stranger}"),
        ),
        (
            "127.0.0.1",
            &format!("sslmode=verify-full&sslrootcert={trusted}"),
        ),
        (
            "localhost",
            &format!("sslmode=verify-full&sslrootcert={stranger}"),
        ),
        ("localhost", "sslmode=verify-full&sslrootcert=/missing.pem"),
    ] {
        let error = open(host, settings).unwrap_err();
        assert!(
            error.hint().unwrap().contains("sslrootcert"),
            "{settings}: {error:?}"
        );
    }
    let unknown = open(
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={stranger}"),
    );
    insta::assert_snapshot!(told(&unknown.unwrap_err(), port), @r"
    connect to database `test_0` on localhost:PORT: the connection could not be encrypted
    invalid peer certificate: BadSignature
    hint: look at sslmode and sslrootcert of the URL, and whether the server has `ssl = on` and a certificate for this name
    ");
    let name = open(
        "127.0.0.1",
        &format!("sslmode=verify-full&sslrootcert={trusted}"),
    );
    insta::assert_snapshot!(told(&name.unwrap_err(), port), @r#"
    connect to database `test_0` on 127.0.0.1:PORT: the connection could not be encrypted
    invalid peer certificate: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")
    hint: look at sslmode and sslrootcert of the URL, and whether the server has `ssl = on` and a certificate for this name
    "#);
    let password = Database::open(&format!(
        "postgres://postgres:wrong@localhost:{port}/test_0"
    ));
    insta::assert_snapshot!(told(&password.unwrap_err(), port), @r#"
    connect to database `test_0` on localhost:PORT: the server does not accept the user or the password
    FATAL: password authentication failed for user "postgres"
    hint: look at user and password of the URL, and at the server's pg_hba.conf
    "#);
}

#[test]
fn a_server_without_encryption_is_not_used_where_it_is_asked_for() {
    let cluster = Cluster::start(&Setup {
        settings: vec!["listen_addresses = '127.0.0.1'".to_owned()],
        ..Setup::default()
    })
    .unwrap();
    cluster.database().unwrap();
    let port = cluster.port();
    let open = |mode: &str| {
        Database::open(&format!(
            "postgres://postgres@localhost:{port}/test_0?sslmode={mode}"
        ))
    };
    assert!(!encrypted(&open("prefer").unwrap()));
    for mode in ["require", "verify-full"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&open(mode).unwrap_err(), port), @r"
            connect to database `test_0` on localhost:PORT: the connection could not be encrypted
            server does not support TLS
            hint: look at sslmode and sslrootcert of the URL, and whether the server has `ssl = on` and a certificate for this name
            ");
        }
    }
}

#[test]
fn a_server_that_was_restarted_is_used_again() {
    let cluster = Cluster::start(&Setup::default()).unwrap();
    let db = Database::open(&cluster.database().unwrap()).unwrap();
    let count = || {
        db.read(|session| {
            let rows = session.query("SELECT count(*) FROM channel", &[])?;
            rows.first().unwrap().get::<i64>(0)
        })
    };
    assert_eq!(count().unwrap(), 0);
    db.write(|session| {
        let sql = "INSERT INTO channel (name, position, followed) VALUES ('a', 0, 1)";
        session.execute(sql, &[])
    })
    .unwrap();
    cluster.crash().unwrap();
    assert_eq!(count().unwrap(), 1);
}
