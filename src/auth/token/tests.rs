//! What a token must be, and every attack on it that has a name.

use futures::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{AuthKeys, Settings, SettingsError, TokenError, Verifier};
use crate::auth::Claims;
use crate::auth::forge::{Issuer, RSA_PUBLIC_PEM, SECRET, base64};
use crate::auth::key::KeyError;

const NOW: i64 = 1_800_000_000;

fn settings(keys: AuthKeys) -> Settings {
    Settings { keys, leeway_seconds: 2, ..Settings::default() }
}

fn hs256() -> Settings {
    settings(AuthKeys::Secret(SECRET.to_vec()))
}

fn good() -> Value {
    json!({"sub": "7", "role": "student", "exp": NOW + 60})
}

async fn verify(settings: Settings, token: &str) -> Result<Claims, TokenError> {
    Verifier::new(settings).expect("good settings").verify(token, NOW).await
}

/// What an HS256 verifier says of these claims, rightly signed.
async fn judge(claims: Value) -> Result<Claims, TokenError> {
    verify(hs256(), &Issuer::secret().token(&claims)).await
}

/// [`good`] with one claim replaced, or taken away by null.
fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn each_kind_of_key_verifies_its_own_algorithm() {
    let pem = |issuer: &Issuer| AuthKeys::PublicKey(issuer.pem());
    let (rsa, ec, ed) = (Issuer::rsa(), Issuer::ec(), Issuer::ed());
    for (issuer, keys) in
        [(Issuer::secret(), AuthKeys::Secret(SECRET.to_vec())), (Issuer::rsa(), pem(&rsa))]
    {
        let claims = verify(settings(keys), &issuer.token(&good())).await.expect("good");
        assert_eq!(claims.subject(), Some("7"));
        assert_eq!(claims.roles(), ["student"]);
        assert_eq!(claims.expires_at(), NOW + 60);
    }
    for issuer in [&ec, &ed] {
        assert!(verify(settings(pem(issuer)), &issuer.token(&good())).await.is_ok());
    }
}

#[tokio::test]
async fn a_changed_token_or_another_key_is_refused() {
    for (issuer, other) in [(Issuer::ec(), Issuer::ec()), (Issuer::ed(), Issuer::ed())] {
        let foreign = other.token(&good());
        let refused = verify(settings(AuthKeys::PublicKey(issuer.pem())), &foreign).await;
        assert_eq!(refused, Err(TokenError::Signature));
    }
    let token = Issuer::secret().token(&good());
    let parts: Vec<_> = token.split('.').collect();
    let admin = base64(with("role", json!("admin")).to_string());
    for forged in [
        format!("{}.{admin}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], base64([0; 32])),
    ] {
        assert_eq!(verify(hs256(), &forged).await, Err(TokenError::Signature), "{forged}");
    }
}

#[tokio::test]
async fn the_header_never_chooses_how_it_is_judged() {
    let claims = good().to_string();
    // `alg: none`, in the spellings that got past other libraries.
    for none in ["none", "None", "NONE", "nOnE", "", "RS1", "HS256 "] {
        let header = json!({"alg": none, "typ": "JWT"}).to_string();
        for mark in ["", "e30"] {
            let token = format!("{}.{}.{mark}", base64(&header), base64(&claims));
            assert_eq!(verify(hs256(), &token).await, Err(TokenError::Malformed), "{none}");
        }
    }
    // The RSA public key, which anybody has, as the secret of an HS256 token.
    let pem = AuthKeys::PublicKey(RSA_PUBLIC_PEM.to_owned());
    for known in [RSA_PUBLIC_PEM, RSA_PUBLIC_PEM.trim_end()] {
        let forged = Issuer::Secret(known.as_bytes().to_vec()).token(&good());
        assert_eq!(verify(settings(pem.clone()), &forged).await, Err(TokenError::Algorithm));
    }
    // A key of one kind is not asked about another's signature, nor RS256 about PS256.
    for issuer in [Issuer::secret(), Issuer::ec(), Issuer::ed(), Issuer::rsa_pss()] {
        let refused = verify(settings(pem.clone()), &issuer.token(&good())).await;
        assert_eq!(refused, Err(TokenError::Algorithm), "{}", issuer.algorithm());
    }
    assert_eq!(verify(hs256(), &Issuer::rsa().token(&good())).await, Err(TokenError::Algorithm));
}

#[tokio::test]
async fn a_key_in_the_token_is_not_a_key() {
    let own = Issuer::ec();
    for (name, value) in [
        ("jwk", own.jwk("mine")),
        ("jku", json!("https://attacker.example/jwks")),
        ("x5u", json!("https://attacker.example/cert")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("x' union select 'secret")),
    ] {
        let mut header = json!({"alg": "ES256"});
        header[name] = value;
        let keys = AuthKeys::PublicKey(Issuer::ec().pem());
        let refused = verify(settings(keys), &own.raw(&header, &good().to_string())).await;
        assert_eq!(refused, Err(TokenError::Signature), "{name}");
    }
    let crit = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
    let token = Issuer::secret().raw(&crit, &good().to_string());
    assert_eq!(verify(hs256(), &token).await, Err(TokenError::Malformed));
}

#[tokio::test]
async fn garbage_is_refused() {
    let token = Issuer::secret().token(&good());
    let five = format!("{token}.e30.e30");
    for garbage in ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "null", &five, &token[1..]] {
        assert_eq!(verify(hs256(), garbage).await, Err(TokenError::Malformed), "{garbage}");
    }
    for spaced in [format!(" {token}"), format!("{token}="), format!("{token}\n")] {
        assert!(verify(hs256(), &spaced).await.is_err());
    }
    let long = Issuer::secret().token(&with("pad", json!("x".repeat(8000))));
    assert_eq!(verify(hs256(), &long).await, Err(TokenError::TooLarge));
    let header = json!({"alg": "HS256"});
    let exp = NOW + 60;
    for payload in [
        format!(r#"{{"exp":{exp},"role":"student","role":"admin"}}"#),
        format!(r#"{{"exp":1,"exp":{exp}}}"#),
        format!(r#"{{"exp":{exp},"a":{}{}}}"#, "[".repeat(300), "]".repeat(300)),
        format!("[{exp}]"),
        String::from("\"text\""),
        String::from("{"),
        String::new(),
    ] {
        let token = Issuer::secret().raw(&header, &payload);
        assert_eq!(verify(hs256(), &token).await, Err(TokenError::Malformed), "{payload}");
    }
    let twice = base64(r#"{"alg":"HS256","alg":"none"}"#);
    let parts: Vec<_> = token.split('.').collect();
    let token = format!("{twice}.{}.{}", parts[1], parts[2]);
    assert_eq!(verify(hs256(), &token).await, Err(TokenError::Malformed));
}

#[tokio::test]
async fn the_end_must_be_a_number_and_ahead() {
    for (exp, why) in [
        (json!(NOW), TokenError::Expired),
        (json!(NOW - 1), TokenError::Expired),
        (json!(0), TokenError::Expired),
        (json!(1_800_000_000.9), TokenError::Expired),
        (json!((NOW + 60).to_string()), TokenError::Claim("exp")),
        (json!("never"), TokenError::Claim("exp")),
        (json!(null), TokenError::Claim("exp")),
        (json!(true), TokenError::Claim("exp")),
        // Arrays and objects are refused by the token library's own reading.
        (json!([NOW + 60]), TokenError::Malformed),
        (json!({"at": NOW + 60}), TokenError::Malformed),
        (json!(-1), TokenError::Claim("exp")),
        (json!(1e300), TokenError::Claim("exp")),
        (json!(u64::MAX), TokenError::Claim("exp")),
        (json!(i64::MAX), TokenError::Claim("exp")),
        (json!((NOW + 60) * 1000), TokenError::Claim("exp")),
    ] {
        assert_eq!(judge(with("exp", exp.clone())).await, Err(why), "{exp}");
    }
    let mut without = good();
    without.as_object_mut().expect("an object").remove("exp");
    assert_eq!(judge(without).await, Err(TokenError::Claim("exp")));
    assert!(judge(with("exp", json!(NOW + 1))).await.is_ok());
    assert!(judge(with("exp", json!(1_800_000_060.5))).await.is_ok());
}

#[tokio::test]
async fn the_beginning_may_be_ahead_by_the_leeway_alone() {
    assert!(judge(with("nbf", json!(NOW + 2))).await.is_ok());
    assert_eq!(judge(with("nbf", json!(NOW + 3))).await, Err(TokenError::NotYet));
    for bad in [json!("0"), json!(null), json!(1e300)] {
        assert_eq!(judge(with("nbf", bad)).await, Err(TokenError::Claim("nbf")));
    }
}

#[tokio::test]
async fn issuer_and_audience_are_held_where_configured() {
    let wanted = || Settings {
        issuer: String::from("https://issuer.example"),
        audience: String::from("pgfeed"),
        ..hs256()
    };
    let judge = async |iss: Value, aud: Value| {
        let claims = json!({"exp": NOW + 60, "iss": iss, "aud": aud});
        verify(wanted(), &Issuer::secret().token(&claims)).await.map(|_claims| ())
    };
    let iss = || json!("https://issuer.example");
    assert_eq!(judge(iss(), json!("pgfeed")).await, Ok(()));
    assert_eq!(judge(iss(), json!(["other", "pgfeed"])).await, Ok(()));
    for bad in [
        json!("https://issuer.example/"),
        json!("https://attacker.example"),
        json!(["https://issuer.example"]),
        json!(["https://attacker.example", "https://issuer.example"]),
        json!(null),
        json!(1),
    ] {
        assert_eq!(judge(bad, json!("pgfeed")).await, Err(TokenError::Claim("iss")));
    }
    for bad in [
        json!("pgfeed2"),
        json!("PGFEED"),
        json!(["pgfee", "d"]),
        json!([]),
        json!([["pgfeed"]]),
        json!(["pgfeed", 1]),
        json!({"pgfeed": true}),
        json!(null),
    ] {
        assert_eq!(judge(iss(), bad).await, Err(TokenError::Claim("aud")));
    }
    let neither = Issuer::secret().token(&json!({"exp": NOW + 60}));
    assert_eq!(verify(wanted(), &neither).await, Err(TokenError::Claim("iss")));
}

#[tokio::test]
async fn a_subject_is_a_name() {
    for good in [json!("7"), json!(7)] {
        assert!(judge(with("sub", good)).await.is_ok());
    }
    for bad in [json!(""), json!(null), json!(1.5), json!(true)] {
        assert_eq!(judge(with("sub", bad)).await, Err(TokenError::Claim("sub")));
    }
    for bad in [json!(["7"]), json!({"id": 7})] {
        assert_eq!(judge(with("sub", bad)).await, Err(TokenError::Malformed));
    }
}

#[tokio::test]
async fn without_a_key_no_token_is_accepted() {
    for token in ["", "e30.e30.", &Issuer::secret().token(&good())] {
        let refused = verify(settings(AuthKeys::None), token).await;
        assert_eq!(refused, Err(TokenError::NoKeyConfigured));
    }
}

#[test]
fn keys_that_protect_nothing_are_refused_at_the_start() {
    let why = |keys| match Verifier::new(settings(keys)) {
        Err(SettingsError::Key(why)) => why,
        other => panic!("{other:?}"),
    };
    let pem = |text: &str| AuthKeys::PublicKey(text.to_owned());
    assert_eq!(why(AuthKeys::Secret(vec![b'x'; 31])), KeyError::SecretTooShort(31));
    assert_eq!(why(AuthKeys::Secret(Vec::new())), KeyError::SecretTooShort(0));
    let published = RSA_PUBLIC_PEM.as_bytes().to_vec();
    assert_eq!(why(AuthKeys::Secret(published)), KeyError::SecretIsPem);
    assert_eq!(why(pem("not a key")), KeyError::NotPublicPem);
    let private = RSA_PUBLIC_PEM.replace("PUBLIC", "PRIVATE");
    assert_eq!(why(pem(&private)), KeyError::NotPublicPem);
    assert_eq!(
        why(pem(&RSA_PUBLIC_PEM.replace("PUBLIC KEY", "CERTIFICATE"))),
        KeyError::NotPublicPem
    );
    assert_eq!(why(pem(SMALL_RSA)), KeyError::Unsupported);
    assert_eq!(why(pem(P384)), KeyError::Unsupported);
}

#[tokio::test]
async fn no_debug_print_or_error_repeats_a_secret_or_a_token() {
    let settings = hs256();
    let secret = std::str::from_utf8(SECRET).expect("text");
    let verifier = Verifier::new(settings.clone()).expect("good settings");
    let claims = verifier.verify(&Issuer::secret().token(&good()), NOW).await.expect("good");
    let bytes = format!("{SECRET:?}");
    for print in [format!("{settings:?}"), format!("{verifier:?}"), format!("{claims:?}")] {
        assert!(!print.contains(secret) && !print.contains(&bytes[1..20]), "{print}");
    }
    let token = Issuer::secret().token(&with("exp", json!("mark-of-the-token")));
    let error = verifier.verify(&token, NOW).await.expect_err("bad");
    assert!(!format!("{error} {error:?}").contains("mark-of"), "{error:?}");
}

proptest! {
    #[test]
    fn no_text_is_taken_for_a_token_or_breaks_the_reading(
        text in "[ -~]{0,80}",
        parts in prop::collection::vec("[A-Za-z0-9_=+/-]{0,30}", 0..5),
        header in "\\{\"alg\":\"(HS256|none|RS256)\"(,\"[a-z5#S]{1,4}\":(1|\"x\"|null|\\[\\]))?\\}",
        payload in "[ -~]{0,40}",
    ) {
        let verifier = Verifier::new(hs256()).expect("good settings");
        let near = format!("{}.{}.{}", base64(&header), base64(&payload), base64("x"));
        for token in [text, parts.join("."), near] {
            // A secret is held, so nothing is waited for.
            let result = verifier.verify(&token, NOW).now_or_never().expect("at once");
            prop_assert!(result.is_err());
        }
    }
}

/// RSA of 1024 bits.
const SMALL_RSA: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDVUK4kbF3Ga7NsGOVBPXgTauQS
npoUk+KFksLT9OO/4M+17QSGlilS2yvrWywfwJUvclh8V7GAQhhrmYeZqdSwAf4i
fEN0O/X8jB4TP6WvT8FX7nOwNG8IY3mjWXr0Mp2UaJH7rY3WHUECqeD8Ry261ieV
YgoHrw/i7EjpnaC1OQIDAQAB
-----END PUBLIC KEY-----";

/// A curve that ES256 does not use.
const P384: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEfsXfFNQIdTUtzwu3ixuf7JuHmUWW+FuT
xgtaO0aQSl7YKDg1K678hSGKKNTnjhdZSxLqYfoOEkgcljXWZQORVZtOJ/2o3rfh
hOe5tpT2Nt/0nGH8Qv94t8nDIvu7U8Oz
-----END PUBLIC KEY-----";
