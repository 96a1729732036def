//! Where a request carries its token. Plain strings in and out.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// The WebSocket subprotocol that is spoken, and the only one that is ever echoed.
pub const SUBPROTOCOL: &str = "pgfeed.v1";

/// A subprotocol that carries a token: browsers can set no header on a WebSocket.
const TOKEN_PROTOCOL: &str = "bearer.";

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

#[cfg(test)]
mod tests {
    use super::{TwoTokens, offer, token};

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
}
