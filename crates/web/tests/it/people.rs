//! Logging in and out, forms from elsewhere, tokens, roles.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use snowguard_db::people::People as _;
use snowguard_web::{GitHub, Login, Settings};

use crate::support::{Server, Visitor};

#[test]
fn the_printed_token_is_good_once() {
    let server = Server::local();
    assert_eq!(server.get("/settings", &[]).status, 401);
    assert_eq!(server.get("/login/local?token=wrong", &[]).status, 403);
    let visitor = server.log_in();
    assert!(visitor.get(&server, "/").body.contains("Log out"));
    let token = server.token.as_deref().unwrap();
    assert_eq!(
        server
            .get(&format!("/login/local?token={token}"), &[])
            .status,
        403,
        "used"
    );
    // The database has no secret in it.
    let secret = visitor.cookie.split_once('=').unwrap().1;
    let rows = server
        .database
        .read(|s| s.query("SELECT hash FROM session", &[]))
        .unwrap();
    let hash: Vec<u8> = rows.first().unwrap().get(0).unwrap();
    assert_eq!(hash, Sha256::digest(secret.as_bytes()).to_vec());
}

#[test]
fn a_cookie_that_somebody_planted_is_never_taken_over() {
    let server = Server::local();
    let planted = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let token = server.token.clone().unwrap();
    let cookie = format!("snowguard={planted}");
    let answer = server.get(
        &format!("/login/local?token={token}"),
        &[("Cookie", &cookie)],
    );
    let given = answer.cookie("snowguard").unwrap();
    assert_ne!(given, planted);
    assert_eq!(server.get("/settings", &[("Cookie", &cookie)]).status, 401);
    let header = answer
        .headers
        .iter()
        .find(|(name, _)| name == "set-cookie")
        .unwrap();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(header.1.contains(attribute), "{}", header.1);
    }
}

#[test]
fn forms_from_elsewhere_do_nothing() {
    let server = Server::local();
    let visitor = server.log_in();
    let cookie = ("Cookie", visitor.cookie.as_str());
    let form = format!("csrf={}&name=a&scope=read&days=7", visitor.csrf);
    let origin = format!("http://{}", server.address);
    let send = |headers: &[(&str, &str)], form: &str| {
        let mut all = vec![cookie];
        all.extend_from_slice(headers);
        server.post("/settings/tokens", &all, form).status
    };
    assert_eq!(send(&[("Sec-Fetch-Site", "cross-site")], &form), 403);
    assert_eq!(
        send(&[("Sec-Fetch-Site", "same-site")], &form),
        403,
        "another server of the domain"
    );
    assert_eq!(send(&[("Origin", "https://evil.example")], &form), 403);
    assert_eq!(send(&[("Origin", "null")], &form), 403);
    assert_eq!(
        send(&[("Origin", &origin)], "name=a&scope=read&days=7"),
        403,
        "without its word"
    );
    assert_eq!(
        send(
            &[("Origin", &origin)],
            "csrf=wrong&name=a&scope=read&days=7"
        ),
        403
    );
    assert_eq!(
        server
            .post("/settings/tokens", &[("Origin", &origin)], &form)
            .status,
        401,
        "nobody"
    );
    let tokens = || {
        server
            .database
            .read(|s| s.query("SELECT 1 FROM token", &[]))
            .unwrap()
            .len()
    };
    assert_eq!(tokens(), 0);
    assert_eq!(
        send(
            &[("Origin", &origin), ("Sec-Fetch-Site", "same-origin")],
            &form
        ),
        200
    );
    assert_eq!(tokens(), 1);
}

#[test]
fn tokens_may_what_they_were_made_for_until_they_are_revoked() {
    let server = Server::local();
    let visitor = server.log_in();
    let bearer = visitor.token(&server, "scope=triage");
    let ask = |path: &str| server.get(path, &[("Authorization", &bearer)]).status;
    assert_eq!(ask("/api/v1/home"), 403, "it may not read");
    assert_eq!(ask("/settings"), 401, "it makes no more tokens");
    let bearer = visitor.token(&server, "scope=read");
    let ask = |path: &str| server.get(path, &[("Authorization", &bearer)]).status;
    assert_eq!(ask("/api/v1/home"), 200);
    assert_eq!(
        server
            .get("/api/v1/home", &[("Authorization", "Bearer sgt_wrong")])
            .status,
        401
    );
    assert_eq!(
        visitor
            .post(&server, "/settings/tokens/revoke", "token=2")
            .status,
        303
    );
    assert_eq!(ask("/api/v1/home"), 401);
    for wrong in [
        "name=&scope=read&days=7",
        "name=a&days=7",
        "name=a&scope=read&days=0",
        "name=a&scope=read&days=9999",
    ] {
        assert_eq!(
            visitor.post(&server, "/settings/tokens", wrong).status,
            422,
            "{wrong}"
        );
    }
}

#[test]
fn leaving_leaves() {
    let server = Server::local();
    let visitor = server.log_in();
    assert_eq!(visitor.post(&server, "/logout", "").status, 303);
    assert_eq!(visitor.get(&server, "/settings").status, 401);
}

/// GitHub, as far as logging in needs it. It remembers the challenge, and holds the verifier against it.
struct StandIn {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    fn start(user: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut bytes = Vec::new();
                let mut buffer = [0; 4096];
                loop {
                    let read = stream.read(&mut buffer).unwrap();
                    bytes.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&bytes);
                    let length = text
                        .to_lowercase()
                        .split("content-length: ")
                        .nth(1)
                        .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok())
                        .unwrap_or(0);
                    let body = text
                        .split_once("\r\n\r\n")
                        .map_or(0, |(_, body)| body.len());
                    if read == 0 || text.contains("\r\n\r\n") && body >= length {
                        break;
                    }
                }
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let body = if text.starts_with("POST /login/oauth/access_token ") {
                    let right = text.contains("code=good") && text.contains("client_secret=hush");
                    if right {
                        r#"{"access_token":"gho_x","token_type":"bearer"}"#
                    } else {
                        r#"{"error":"bad_verification_code"}"#
                    }
                } else if text.starts_with("GET /user ") && text.contains("Bearer gho_x") {
                    user
                } else {
                    "{}"
                };
                seen.lock().unwrap().push(text);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(body.as_bytes());
            }
        });
        Self { address, asked }
    }

    fn settings(&self) -> Settings {
        let base: url::Url = format!("http://{}", self.address).parse().unwrap();
        Settings {
            login: Login::GitHub(Box::new(GitHub {
                client_id: "app".into(),
                client_secret: "hush".into(),
                web: base.clone(),
                api: base,
            })),
            admins: vec!["root".into()],
            ..Settings::local()
        }
    }
}

fn field<'u>(url: &'u str, name: &str) -> &'u str {
    url.split(&format!("{name}="))
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
}

/// Begins a login, and gives the address to which GitHub is asked to lead back, with the cookie.
fn begin(server: &Server, back: &str) -> (String, String) {
    let origin = format!("http://{}", server.address);
    let answer = server.post(
        "/login/github",
        &[("Origin", &origin)],
        &format!("back={back}"),
    );
    assert_eq!(answer.status, 303);
    let cookie = format!(
        "snowguard-login={}",
        answer.cookie("snowguard-login").unwrap()
    );
    (answer.header("location").unwrap().to_owned(), cookie)
}

#[test]
fn github_says_who_somebody_is() {
    let github = StandIn::start(r#"{"id": 42, "login": "Alice"}"#);
    let server = Server::start(|_| github.settings());
    server
        .database
        .write(|s| {
            s.execute(
                "INSERT INTO maintainer (name, kind) VALUES ('alice', 0)",
                &[],
            )
        })
        .unwrap();
    let page = server.get("/login", &[]);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains(&format!("form-action 'self' http://{}", github.address)),
        "{policy}"
    );
    let (to, cookie) = begin(&server, "/queue%3Fby=package");
    assert!(to.starts_with(&format!(
        "http://{}/login/oauth/authorize?client_id=app&",
        github.address
    )));
    assert!(!to.contains("scope="), "no right is asked for");
    let state = field(&to, "state");
    let back = format!("/login/callback?code=good&state={state}");
    // Another browser, another state, no code: nobody is let in.
    assert_eq!(server.get(&back, &[]).status, 403);
    assert_eq!(
        server
            .get(
                "/login/callback?code=good&state=other",
                &[("Cookie", &cookie)]
            )
            .status,
        403
    );
    assert_eq!(
        server
            .get(
                &format!("/login/callback?error=access_denied&state={state}"),
                &[("Cookie", &cookie)]
            )
            .status,
        403
    );
    assert!(
        github.asked.lock().unwrap().is_empty(),
        "GitHub was not even asked"
    );
    let answer = server.get(&back, &[("Cookie", &cookie)]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header("location"), Some("/queue?by=package"));
    let exchange = github.asked.lock().unwrap()[0].clone();
    let verifier = field(&exchange, "code_verifier");
    assert_eq!(
        BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes())),
        field(&to, "code_challenge")
    );
    let visitor = Visitor::of(&server, &answer.cookie("snowguard").unwrap());
    let page = visitor.get(&server, "/settings");
    assert!(
        page.body
            .contains("You may decide on the packages that you maintain."),
        "{}",
        page.body
    );
    assert_eq!(visitor.get(&server, "/admin").status, 403);
    assert_eq!(
        visitor.get(&server, "/mine").header("location"),
        Some("/maintainers/alice")
    );
    assert!(
        !server
            .get("/login/local?token=x", &[])
            .body
            .contains("Token"),
        "there is no other way"
    );
}

#[test]
fn github_may_refuse_and_may_lie() {
    let github = StandIn::start(r#"{"id": 42, "login": "../../<script>"}"#);
    let server = Server::start(|_| github.settings());
    let (to, cookie) = begin(&server, "//evil.example");
    let state = field(&to, "state");
    let refused = server.get(
        &format!("/login/callback?code=bad&state={state}"),
        &[("Cookie", &cookie)],
    );
    assert_eq!(refused.status, 502);
    assert!(
        refused.body.contains("bad_verification_code"),
        "{}",
        refused.body
    );
    let (to, cookie) = begin(&server, "/");
    let back = format!("/login/callback?code=good&state={}", field(&to, "state"));
    assert_eq!(
        server.get(&back, &[("Cookie", &cookie)]).status,
        502,
        "that is no login"
    );
}

/// A login of the settings is that of who first came by it: who takes it over takes no role over.
#[test]
fn a_role_of_the_settings_does_not_follow_a_name() {
    let github = StandIn::start(r#"{"id": 7, "login": "root"}"#);
    let server = Server::start(|_| github.settings());
    let log_in = || {
        let (to, cookie) = begin(&server, "/");
        let back = format!("/login/callback?code=good&state={}", field(&to, "state"));
        let answer = server.get(&back, &[("Cookie", &cookie)]);
        Visitor::of(&server, &answer.cookie("snowguard").unwrap())
    };
    // The administrator has come by this name before, with another number.
    let user = |id| snowguard_db::people::GitHubUser { id, login: "root" };
    server.database.write(|s| s.bind_login(user(1))).unwrap();
    let taken_over = log_in();
    assert_eq!(taken_over.get(&server, "/admin").status, 403);
    assert!(
        taken_over
            .get(&server, "/settings")
            .body
            .contains("You may read.")
    );
}

#[test]
fn a_role_of_the_settings_can_name_the_number() {
    let github = StandIn::start(r#"{"id": 7, "login": "somebody"}"#);
    let server = Server::start(|_| Settings {
        admins: vec!["id:7".into(), "somebody else".into()],
        security: vec!["id:70".into()],
        ..github.settings()
    });
    let (to, cookie) = begin(&server, "/");
    let back = format!("/login/callback?code=good&state={}", field(&to, "state"));
    let answer = server.get(&back, &[("Cookie", &cookie)]);
    let visitor = Visitor::of(&server, &answer.cookie("snowguard").unwrap());
    assert_eq!(visitor.get(&server, "/admin").status, 200);
}

#[test]
fn administrators_give_roles_and_the_log_tells_of_it() {
    let github = StandIn::start(r#"{"id": 1, "login": "root"}"#);
    let server = Server::start(|_| github.settings());
    let other = server
        .database
        .write(|s| {
            s.sign_in(
                snowguard_db::people::GitHubUser {
                    id: 2,
                    login: "bob",
                },
                "2026-01-01T00:00:00Z".parse().unwrap(),
            )
        })
        .unwrap()
        .unwrap();
    let (to, cookie) = begin(&server, "https://evil.example/");
    let back = format!("/login/callback?code=good&state={}", field(&to, "state"));
    let answer = server.get(&back, &[("Cookie", &cookie)]);
    assert_eq!(
        answer.header("location"),
        Some("/"),
        "never to another server"
    );
    let root = Visitor::of(&server, &answer.cookie("snowguard").unwrap());
    let set = |role: &str, id: i64| {
        root.post(&server, "/admin/role", &format!("account={id}&role={role}"))
            .status
    };
    assert_eq!(set("security", other.id), 303);
    assert_eq!(
        set("maintainer", other.id),
        422,
        "that one is nobody’s to give"
    );
    assert_eq!(set("admin", 999), 404);
    let page = root.get(&server, "/admin");
    assert!(
        page.body.contains("role changed") && page.body.contains("security instead of reader"),
        "{}",
        page.body
    );
    // One’s own logins only: those of others are not even named.
    let theirs = root.post(
        &server,
        "/settings/sessions/end",
        "session=0000000000000000",
    );
    assert_eq!(theirs.status, 303);
}
