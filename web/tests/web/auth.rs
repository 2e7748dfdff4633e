//! Who gets in.

use reqwest::Method;
use verbatim_web::{BindError, ConfigError, GatewayFigures, Web, WebConfig};

use crate::client::Site;
use crate::support::World;

async fn locked() -> Site {
    Site::with(|config, _| config.password = "open sesame".to_owned()).await
}

const PAGES: [&str; 5] =
    ["/", "/exchanges", "/exchanges/0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77", "/docs", "/pulse"];
const DATA: [&str; 8] = [
    "/api/v1/exchanges",
    "/api/v1/live",
    "/api/v1/export",
    "/api/requests",
    "/admin/logs",
    "/metrics",
    "/openapi.json",
    "/no/such/path",
];

#[tokio::test]
async fn without_the_password_nothing_is_told() {
    let site = locked().await;
    for path in PAGES {
        let response = site.get_with(path, &[("accept", "text/html")]).await;
        assert_eq!(response.status(), 303, "{path}");
        assert!(response.headers()["location"].to_str().unwrap().starts_with("/login?next="));
    }
    for path in PAGES.into_iter().chain(DATA) {
        let response = site.get(path).await;
        assert_eq!(response.status(), 401, "{path}");
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    }
    for path in ["/login", "/livez", "/readyz", "/healthz", "/health"] {
        assert_eq!(site.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn the_password_as_bearer_or_basic_lets_programs_in() {
    let site = locked().await;
    for value in ["Bearer open sesame", "Basic YW55b25lOm9wZW4gc2VzYW1l"] {
        assert_eq!(site.get_with("/api/v1/exchanges", &[("authorization", value)]).await.status(), 200);
    }
    let wrong = [("authorization", "Bearer open")];
    assert_eq!(site.get_with("/api/v1/exchanges", &wrong).await.status(), 401);
}

async fn log_in(site: &Site, password: &str, next: &str) -> reqwest::Response {
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    site.send(Method::POST, "/login", &kind, &format!("password={password}&next={next}")).await
}

#[tokio::test]
async fn a_session_opens_and_a_forged_one_does_not() {
    let site = locked().await;
    let response = log_in(&site, "open+sesame", "%2Fexchanges%3Fq%3Dx").await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/exchanges?q=x");
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(site.get_with("/exchanges", &[("cookie", cookie)]).await.status(), 200);
    let forged = cookie.replace("verbatim_session=1", "verbatim_session=9");
    assert_eq!(site.get_with("/api/v1/exchanges", &[("cookie", &forged)]).await.status(), 401);
}

async fn session(site: &Site) -> String {
    let response = log_in(site, "open+sesame", "/").await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn asks(site: &Site, cookie: &str) -> u16 {
    site.get_with("/api/v1/exchanges", &[("cookie", cookie)]).await.status().as_u16()
}

#[tokio::test]
async fn after_logging_out_a_copy_of_the_cookie_opens_nothing_at_any_process() {
    let here = locked().await;
    let there = Site::with(|config, ports| {
        config.password = "open sesame".to_owned();
        ports.control = here.world.control.clone();
    })
    .await;
    let (mine, theirs) = (session(&here).await, session(&there).await);
    assert_eq!((asks(&here, &mine).await, asks(&there, &mine).await), (200, 200));
    let response = here.send(Method::POST, "/logout", &[("cookie", &mine)], "").await;
    assert_eq!(response.headers()["location"], "/login");
    assert_eq!((asks(&here, &mine).await, asks(&there, &mine).await), (401, 401));
    assert_eq!((asks(&here, &theirs).await, asks(&there, &theirs).await), (200, 200));
}

#[tokio::test]
async fn a_session_opens_nothing_while_nobody_can_tell_whether_it_was_logged_out() {
    let site = locked().await;
    let mine = session(&site).await;
    site.world.control.down.set(true);
    assert_eq!(asks(&site, &mine).await, 503);
    // A program that gives the password has no session to ask about.
    let bearer = [("authorization", "Bearer open sesame")];
    assert_eq!(site.get_with("/api/v1/exchanges", &bearer).await.status(), 200);
    site.world.control.down.set(false);
    assert_eq!(asks(&site, &mine).await, 200);
}

#[tokio::test]
async fn a_logout_that_can_not_be_noted_is_told_and_can_be_tried_again() {
    let site = locked().await;
    let mine = session(&site).await;
    site.world.control.full.set(true);
    let response = site.send(Method::POST, "/logout", &[("cookie", &mine)], "").await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().get("set-cookie").is_none(), "the cookie stays");
    assert!(response.text().await.unwrap().contains("still logged in"));
    assert_eq!(asks(&site, &mine).await, 200);
    site.world.control.full.set(false);
    let response = site.send(Method::POST, "/logout", &[("cookie", &mine)], "").await;
    assert_eq!(response.headers()["location"], "/login");
    assert_eq!(asks(&site, &mine).await, 401);
}

#[tokio::test]
async fn after_logging_in_one_never_lands_elsewhere() {
    let site = locked().await;
    let response = log_in(&site, "open+sesame", "%2F%2Fevil.example").await;
    assert_eq!(response.headers()["location"], "/");
}

#[tokio::test]
async fn guessing_is_slowed_down_even_for_the_right_password() {
    let site = locked().await;
    for _ in 0..5 {
        assert_eq!(log_in(&site, "guess", "/").await.status(), 401);
    }
    let response = log_in(&site, "open+sesame", "/").await;
    assert_eq!(response.status(), 429);
    let bearer = [("authorization", "Bearer open sesame")];
    let response = site.get_with("/api/v1/exchanges", &bearer).await;
    assert_eq!(response.status(), 429);
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_slowed_down_by_itself() {
    let site = Site::with(|config, _| {
        config.password = "open sesame".to_owned();
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let ask = async |password: &str, from: &str| {
        let headers = [("authorization", password), ("x-forwarded-for", from)];
        site.get_with("/api/v1/exchanges", &headers).await.status()
    };
    for _ in 0..5 {
        assert_eq!(ask("Bearer guess", "198.51.100.1, 203.0.113.9").await, 401);
    }
    assert_eq!(ask("Bearer open sesame", "198.51.100.77, 203.0.113.9").await, 429);
    assert_eq!(ask("Bearer open sesame", "203.0.113.10").await, 200);
    // What stands before something that is no address may have been written by the guesser.
    for forged in ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5"] {
        assert_eq!(ask("Bearer guess", &format!("{forged}, unknown")).await, 401);
    }
    assert_eq!(ask("Bearer open sesame", "198.51.100.6, unknown").await, 429);
}

#[tokio::test]
async fn without_a_password_only_loopback_names_are_answered() {
    let site =
        Site::with(|config, _| config.public_url = Some("https://logs.example.com".parse().unwrap())).await;
    for host in ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example"] {
        let response = site.get_with("/api/v1/exchanges", &[("host", host)]).await;
        assert_eq!(response.status(), 403, "{host}");
    }
    for host in ["localhost", "127.0.0.1:9", "[::1]:8081", "logs.example.com"] {
        assert_eq!(site.get_with("/api/v1/exchanges", &[("host", host)]).await.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn another_sites_page_can_not_change_anything() {
    let site = Site::new().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own = site.base.clone();
    let ask = async |origin: &str| {
        site.send(Method::POST, "/preferences", &[form, ("origin", origin)], "theme=dark&next=/").await
    };
    assert_eq!(ask("http://evil.example").await.status(), 403);
    assert_eq!(ask("null").await.status(), 403);
    let response = ask(&own).await;
    assert_eq!(response.status(), 303);
    assert!(response.headers()["set-cookie"].to_str().unwrap().starts_with("verbatim_theme=dark"));
}

#[tokio::test]
async fn an_open_address_without_a_password_is_refused_before_a_socket_opens() {
    let config = WebConfig::new("0.0.0.0:0".parse().unwrap(), [0; 32]);
    let refused = Web::bind(config, World::default().ports(GatewayFigures::default())).await;
    assert!(matches!(refused, Err(BindError::Config(ConfigError::ExposedWithoutPassword(_)))));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let site = Site::new().await;
    let taken = site.base.trim_start_matches("http://").parse().unwrap();
    let config = WebConfig::new(taken, [0; 32]);
    let refused = Web::bind(config, World::default().ports(GatewayFigures::default())).await;
    let Err(error) = refused else { panic!("bound twice") };
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[tokio::test]
async fn a_page_of_another_site_can_link_to_the_dashboard_but_not_measure_it() {
    let site = Site::new().await;
    let from =
        |site, mode, dest| [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
    for path in ["/api/v1/exchanges?q=secret", "/exchanges?q=secret", "/api/v1/live"] {
        for (mode, dest) in [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")] {
            assert_eq!(site.get_with(path, &from("cross-site", mode, dest)).await.status(), 403, "{path}");
            assert_eq!(site.get_with(path, &from("same-site", mode, dest)).await.status(), 403, "{path}");
        }
    }
    let link = from("cross-site", "navigate", "document");
    assert_eq!(site.get_with("/exchanges?q=secret", &link).await.status(), 200);
    let own = from("same-origin", "cors", "empty");
    assert_eq!(site.get_with("/api/v1/exchanges?q=secret", &own).await.status(), 200);
}
