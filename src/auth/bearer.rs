//! Where a request carries its token, and how to keep it out of the log. Plain strings in and out.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// The WebSocket subprotocol that is spoken, and the only one that is ever echoed.
pub const SUBPROTOCOL: &str = "pgfeed.v1";

/// A subprotocol that carries a token: browsers can set no header on a WebSocket.
const TOKEN_PROTOCOL: &str = "bearer.";

/// What stands in a log line where a token stood.
const CUT: &str = "[cut]";

/// A request that carries two different tokens says two things; none of them is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request carries more than one token")]
pub struct TwoTokens;

/// What a client offers in `Sec-WebSocket-Protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Whether it offers [`SUBPROTOCOL`], so that the answer must echo it.
    pub is_ours: bool,
}

/// Reads the values of `Sec-WebSocket-Protocol`, without their tokens.
#[expect(single_use_lifetimes, reason = "an anonymous lifetime in impl Trait is unstable")]
pub fn offer<'a>(protocols: impl IntoIterator<Item = &'a str>) -> Offer {
    Offer { is_ours: members(protocols).any(|it| it == SUBPROTOCOL) }
}

/// The one token of a request: from `Authorization`, from `Sec-WebSocket-Protocol`, or from
/// `token` in the query. Each may stand several times; all must say the same.
pub fn token<'a>(
    authorizations: impl IntoIterator<Item = &'a str>,
    protocols: impl IntoIterator<Item = &'a str>,
    query: Option<&'a str>,
) -> Result<Option<Cow<'a, str>>, TwoTokens> {
    let headers = authorizations.into_iter().filter_map(in_authorization).map(Cow::Borrowed);
    let offered =
        members(protocols).filter_map(|it| it.strip_prefix(TOKEN_PROTOCOL)).map(Cow::Borrowed);
    let asked = pairs(query.unwrap_or(""))
        .filter(|(name, _)| decoded(name) == "token")
        .map(|(_, value)| decoded(value));
    let mut found = None;
    for token in headers.chain(offered).chain(asked) {
        match &found {
            Some(before) if *before != token => return Err(TwoTokens),
            _ => found = Some(token),
        }
    }
    Ok(found)
}

/// A path with its query as a log line may show it: whatever may be a token is cut out, under
/// whatever name and spelling it came.
pub fn redacted(path_and_query: &str) -> Cow<'_, str> {
    let Some((path, query)) = path_and_query.split_once('?') else {
        return Cow::Borrowed(path_and_query);
    };
    if !pairs(query).any(is_secret) {
        return Cow::Borrowed(path_and_query);
    }
    let shown: Vec<Cow<'_, str>> = pairs(query)
        .map(|pair @ (name, value)| match (is_secret(pair), value.is_empty()) {
            (true, _) if may_be_token(name) => Cow::Borrowed(CUT),
            (true, _) => Cow::Owned(format!("{name}={CUT}")),
            (false, true) => Cow::Borrowed(name),
            (false, false) => Cow::Owned(format!("{name}={value}")),
        })
        .collect();
    Cow::Owned(format!("{path}?{}", shown.join("&")))
}

/// RFC 9110 §11.1: the scheme's name has no case. Another scheme is no token of ours: a proxy
/// before the gateway may use its own.
fn in_authorization(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim_start())
}

fn members<'a>(values: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    values.into_iter().flat_map(|value| value.split(',')).map(str::trim)
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn is_secret((name, value): (&str, &str)) -> bool {
    let name_says = decoded(name).to_ascii_lowercase();
    name_says.contains("token")
        || name_says.contains("jwt")
        || name_says.contains("auth")
        || may_be_token(value)
        || may_be_token(name)
}

/// Every JWT begins so: it is `{"` in base64.
fn may_be_token(text: &str) -> bool {
    decoded(text).contains("eyJ") || text.contains("%2565yJ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{TwoTokens, offer, redacted, token};

    #[test]
    fn a_token_travels_in_three_ways() {
        let get = |auth: &'static [&str], protocols: &'static [&str], query| {
            token(auth.iter().copied(), protocols.iter().copied(), query)
                .map(|it| it.map(std::borrow::Cow::into_owned))
        };
        let is = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(get(&["Bearer a.b.c"], &[], None), is("a.b.c"));
        assert_eq!(get(&["bEARER   a.b.c "], &[], None), is("a.b.c"));
        assert_eq!(get(&[], &["pgfeed.v1, bearer.a.b.c"], None), is("a.b.c"));
        assert_eq!(get(&[], &["pgfeed.v1", "bearer.a.b.c"], None), is("a.b.c"));
        assert_eq!(get(&[], &[], Some("table=x&token=a.b.c")), is("a.b.c"));
        assert_eq!(get(&[], &[], Some("%74oken=a%2Eb.c")), is("a.b.c"));
        assert_eq!(get(&["Bearer a"], &["bearer.a"], Some("token=a")), is("a"));
        // Given but empty is a bad token, not the lack of one.
        assert_eq!(get(&["Bearer"], &[], None), is(""));
        assert_eq!(get(&[], &[], Some("token=")), is(""));
        assert_eq!(get(&["Basic eDp5"], &["graphql-ws"], Some("tokens=a&atoken=b")), Ok(None));
        assert_eq!(get(&["Bearer a"], &[], Some("token=b")), Err(TwoTokens));
        assert_eq!(get(&["Bearer a", "Bearer b"], &[], None), Err(TwoTokens));
        assert_eq!(get(&[], &["bearer.a, bearer.b"], None), Err(TwoTokens));
        assert_eq!(get(&[], &[], Some("token=a&token=b")), Err(TwoTokens));
    }

    #[test]
    fn only_our_protocol_is_ours() {
        assert!(offer(["bearer.x, pgfeed.v1"]).is_ours);
        for other in ["", "pgfeed.v2", "PGFEED.V1", "bearer.pgfeed.v1", "pgfeed.v1x"] {
            assert!(!offer([other]).is_ours, "{other}");
        }
    }

    #[test]
    fn a_log_line_has_no_token() {
        for (path, shown) in [
            ("/ws/changes/", "/ws/changes/"),
            ("/ws/changes/?table=a&x", "/ws/changes/?table=a&x"),
            ("/ws/?token=a.b.c&table=a", "/ws/?token=[cut]&table=a"),
            ("/ws/?table=a&token=a.b.c", "/ws/?table=a&token=[cut]"),
            ("/ws/?%74oken=a.b.c", "/ws/?%74oken=[cut]"),
            ("/ws/?TOKEN=a&access_token=b&jwt=c", "/ws/?TOKEN=[cut]&access_token=[cut]&jwt=[cut]"),
            ("/ws/?x=eyJhbGciOi.e30.x", "/ws/?x=[cut]"),
            ("/ws/?x=%65yJhbGciOi", "/ws/?x=[cut]"),
            ("/ws/?eyJhbGciOi.e30.x", "/ws/?[cut]"),
            ("/ws/?token=a?token=b", "/ws/?token=[cut]"),
            ("/ws/?a?token=b", "/ws/?a?token=[cut]"),
        ] {
            assert_eq!(redacted(path), shown);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_for_a_token_is_cut_from_the_log(
            before in "[a-z=&%?]{0,12}",
            name in "(token|%74oken|tok%65n)",
            value in "SECRET[a-zA-Z0-9._=?-]{0,20}",
            after in "(&[a-z=&%?]{0,12})?",
        ) {
            let query = format!("{before}&{name}={value}{after}");
            let path = format!("/ws/changes/?{query}");
            if token([], [], Some(&query)).is_ok_and(|it| it.is_some()) {
                let shown = redacted(&path);
                prop_assert!(!shown.contains("SECRET"), "{shown}");
            }
        }
    }
}
