//! The console: a page on which an operator sees the feed, served from the program itself.
//!
//! Switched on by `server.console`. The page is plain files; what they show comes from
//! [`state`] and from the feed's own WebSocket, with the rights of whoever looks. It never
//! loads or sends anything elsewhere, and no text of a row can become markup: the policy in
//! [`CONTENT`] forbids the browser both.

pub mod state;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rust_embed::Embed;
use warp::Reply;

use super::{
    answer::{self, Answer},
    routes::{Request, Side, Site},
};
/// What a browser may do on the page: run and show our own files, talk to this gateway. Texts
/// cannot be assigned as HTML at all, where the browser knows trusted types.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                       connect-src 'self'; base-uri 'none'; form-action 'none'; \
                       frame-ancestors 'none'; require-trusted-types-for 'script'; \
                       trusted-types 'none'";

/// The files of the page, in every build: what is tested is what is shipped.
#[derive(Embed)]
#[folder = "src/http/console/page"]
struct Page;

/// How large a table is, by PostgreSQL's own estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Rows.
    pub rows: f64,
    /// Its rows' storage, indexes left out.
    pub bytes: f64,
}

/// Gives the size of a table by its oid, where it was ever looked at.
pub type Sizes = Box<dyn Fn(u32) -> Option<Size> + Send + Sync>;

impl Site {
    /// What is served below `/console`; none where the console is off.
    pub(super) async fn console(
        &self,
        request: &Request,
        path: &str,
        side: Side,
    ) -> Option<Answer> {
        let sizes = self.console.as_ref().filter(|_| side != Side::Public)?;
        let mut answer = match path.strip_prefix("/console")? {
            "" => file("index.html", &request.headers)?,
            "/state" => match self.state(request, sizes, side).await {
                Ok(text) => answer::json(StatusCode::OK, text),
                Err(refused) => answer::error(refused.code, refused.message),
            },
            name => file(name.strip_prefix('/')?, &request.headers)?,
        };
        guard(answer.headers_mut());
        Some(answer)
    }

    /// Whether a listener serves this feed: the operator's serves the one that the console shows.
    pub(super) fn has_feeds(&self, side: Side, path: &str) -> bool {
        side != Side::Admin || (self.console.is_some() && path == "/ws/changes")
    }
}

/// A file of the page; a browser that has it already is told so.
fn file(name: &str, asked: &HeaderMap) -> Option<Answer> {
    let kind = match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    };
    let file = Page::get(name)?;
    let hash = data_encoding::HEXLOWER.encode(&file.metadata.sha256_hash()[..16]);
    let tag = HeaderValue::from_str(&format!("\"{hash}\"")).ok()?;
    let has_it = asked.get_all(header::IF_NONE_MATCH).iter().any(|it| it == tag);
    let mut answer = if has_it {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        http::Response::new(file.data.into_owned()).into_response()
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ETAG, tag);
    Some(answer)
}

fn guard(headers: &mut HeaderMap) {
    let all: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
