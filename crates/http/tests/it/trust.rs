//! TLS, certificates, and where a redirect may lead.

use snowguard_testkit::web::Fault;

use super::*;

fn trusting(web: &Web, place: &Place) -> Client {
    let path = place.path("ca.pem");
    std::fs::write(&path, web.authority().unwrap()).unwrap();
    client(Settings {
        ca_files: vec![path],
        ..quick()
    })
}

#[test]
fn an_authority_is_trusted_once_it_is_named() {
    let web = Web::start_tls().unwrap();
    web.put("/a", "hello");
    let error = get(&client(quick()), &web.url("/a")).unwrap_err();
    insta::assert_snapshot!(told(&error, &web), @r"
    HOST has a certificate that is not trusted here: error sending request: client error (Connect): invalid peer certificate: UnknownIssuer
    hint: if that host or your proxy has a certificate authority of its own, name its file with --ca-file
    ");
    let place = Place::new();
    let page = get(&trusting(&web, &place), &web.url("/a"))
        .unwrap()
        .unwrap();
    assert_eq!(page.body, b"hello");
}

#[test]
fn a_redirect_never_leaves_tls() {
    let (secure, plain) = (Web::start_tls().unwrap(), Web::start().unwrap());
    plain.put("/a", "hello");
    secure.fail_always("/a", Fault::Redirect(plain.url("/a?token=hunter2")));
    let place = Place::new();
    let error = get(&trusting(&secure, &place), &secure.url("/a")).unwrap_err();
    let text = told(&error, &secure).replace(&plain.base(), "http://OTHER");
    insta::assert_snapshot!(text, @r"
    HOST leads from https://HOST/a to http://OTHER/a, which is not encrypted
    hint: check the address; if it has moved for good, set the new one
    ");
    assert!(plain.seen().is_empty());
}

#[test]
fn from_http_it_may_lead_to_https() {
    let (secure, plain) = (Web::start_tls().unwrap(), Web::start().unwrap());
    secure.put("/a", "hello");
    plain.fail_always("/a", Fault::Redirect(secure.url("/a")));
    let place = Place::new();
    let page = get(&trusting(&secure, &place), &plain.url("/a"))
        .unwrap()
        .unwrap();
    assert_eq!(page.body, b"hello");
}

#[test]
fn a_token_does_not_follow_to_another_host() {
    let (from, to) = (Web::start().unwrap(), Web::start().unwrap());
    to.put("/a", "hello");
    // The same machine under another name and port.
    let elsewhere = to.url("/a").replace("127.0.0.1", "localhost");
    from.fail_always("/a", Fault::Redirect(elsewhere));
    let client = client(quick());
    let page = client.get(&Get {
        address: &address(&from.url("/a")),
        limit: 1_000,
        conditions: None,
        headers: &[("Authorization", "Bearer hunter2")],
    });
    assert_eq!(page.unwrap().unwrap().body, b"hello");
    assert!(from.seen()[0].header("authorization").is_some());
    assert!(to.seen()[0].header("authorization").is_none());
}

#[test]
fn a_file_without_certificates_is_told() {
    let place = Place::new();
    let told = |name: &str| {
        let settings = Settings {
            ca_files: vec![place.path(name)],
            ..quick()
        };
        let made = Client::new(settings, Arc::new(AtomicBool::new(false)));
        let error = made.expect_err("it cannot be used");
        let text = format!("{error}\nhint: {}", error.hint().unwrap());
        text.replace(place.path("").as_str(), "PLACE/")
    };
    insta::assert_snapshot!(told("none.pem"), @r"
    cannot take certificates from PLACE/none.pem: No such file or directory (os error 2)
    hint: it must be a file of certificates in PEM
    ");
    std::fs::write(place.path("empty.pem"), "no certificate").unwrap();
    insta::assert_snapshot!(told("empty.pem"), @r"
    cannot take certificates from PLACE/empty.pem: there are none in it
    hint: it must be a file of certificates in PEM
    ");
}
