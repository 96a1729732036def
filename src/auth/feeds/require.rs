//! What a declared feed asks of a token before it opens.

use serde_json::Value;

use super::Parts;
use crate::auth::Claims;

/// The key that asks for a role, under whatever claim the issuer puts roles.
const ROLE: &str = "role";

/// One thing asked for. All of a feed's must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    /// One of these roles.
    Role(Vec<String>),
    /// A claim that is one of these.
    Claim { path: String, wanted: Vec<Wanted> },
}

/// What a claim must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This text; the number that looks like it is another value.
    Text(String),
    /// The part of the path that this placeholder stands for.
    Part(String),
}

impl Requirement {
    /// Reads the texts that are wanted of a claim; `names` are the path's placeholders.
    pub(super) fn new(key: &str, values: &[String], names: &[&str]) -> Result<Self, String> {
        if values.is_empty() {
            return Err(String::from("asks for one of no values"));
        }
        if key == ROLE {
            let is_name = |role: &String| !role.is_empty() && !role.contains(['{', '}']);
            return match values.iter().find(|role| !is_name(role)) {
                None => Ok(Self::Role(values.to_vec())),
                Some(other) => Err(format!("`{other}` is not a role's name")),
            };
        }
        let wanted = values.iter().map(|value| wanted(value, names));
        Ok(Self::Claim { path: key.to_owned(), wanted: wanted.collect::<Result<_, _>>()? })
    }

    /// Whether these claims have what is asked for.
    pub(super) fn holds(&self, claims: &Claims, parts: &Parts) -> bool {
        match self {
            Self::Role(roles) => roles.iter().any(|role| claims.has_role(role)),
            Self::Claim { path, wanted } => match claims.get(path) {
                Some(Value::Array(members)) => {
                    members.iter().any(|it| wanted.iter().any(|wanted| wanted.is(it, parts)))
                }
                Some(claim) => wanted.iter().any(|wanted| wanted.is(claim, parts)),
                None => false,
            },
        }
    }
}

impl Wanted {
    /// A path has no types, so its part is compared with a claim's text, or with the digits of a
    /// claim that is a whole number: `7` fits 7 and "7", while `07` and `7.0` fit neither.
    fn is(&self, claim: &Value, parts: &Parts) -> bool {
        match self {
            Self::Text(text) => claim == text,
            Self::Part(name) => parts.get(name).is_some_and(|part| match claim {
                Value::String(text) => text == part,
                Value::Number(number) if number.is_i64() || number.is_u64() => {
                    number.to_string() == *part
                }
                _ => false,
            }),
        }
    }
}

fn wanted(text: &str, names: &[&str]) -> Result<Wanted, String> {
    if text.contains(['{', '}']) {
        let name = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        return match name.filter(|it| names.contains(it)) {
            Some(name) => Ok(Wanted::Part(name.to_owned())),
            None => Err(format!("`{text}` is no placeholder of the path")),
        };
    }
    // A claim that is "" would fit a setting that was left empty by mistake.
    if text.is_empty() { Err(String::from("is empty")) } else { Ok(Wanted::Text(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Claims, Parts, Requirement};

    fn holds(key: &str, wanted: &Value, claims: Value) -> bool {
        let Value::Object(object) = claims else { panic!("claims are an object") };
        let claims = Claims::new(object, "realm.roles", 0);
        let parts = Parts::from([("id".to_owned(), "7".to_owned())]);
        let wanted: Vec<String> = serde_json::from_value(wanted.clone()).expect("texts");
        let requirement = Requirement::new(key, &wanted, &["id"]).expect("a requirement");
        requirement.holds(&claims, &parts)
    }

    #[test]
    fn a_role_is_one_of_those_named() {
        let claims = |roles: Value| json!({"role": "admin", "realm": {"roles": roles}});
        assert!(holds("role", &json!(["admin", "mentor"]), claims(json!("mentor"))));
        assert!(holds("role", &json!(["mentor"]), claims(json!(["x", "mentor"]))));
        // Roles stand where the settings say, and nowhere else.
        assert!(!holds("role", &json!(["admin"]), claims(json!("mentor"))));
        assert!(!holds("role", &json!(["mentor"]), claims(json!("Mentor"))));
        assert!(!holds("role", &json!(["mentor"]), json!({})));
    }

    #[test]
    fn a_claim_equals_a_part_of_the_path_or_a_value_of_its_type() {
        let part = |claim: Value| holds("sub", &json!(["{id}"]), json!({ "sub": claim }));
        assert!(part(json!("7")) && part(json!(7)) && part(json!(["8", "7"])));
        for other in [json!("07"), json!("7 "), json!(7.0), json!(70), json!(null), json!({"7": 7})]
        {
            assert!(!part(other.clone()), "{other}");
        }
        assert!(!holds("sub", &json!(["{id}"]), json!({})));
        for spelling in ["07", "+7", "7.0", "7e0", " 7", "0x7"] {
            let parts = Parts::from([("id".to_owned(), spelling.to_owned())]);
            let wanted = Requirement::new("sub", &["{id}".to_owned()], &["id"]).expect("can hold");
            let Value::Object(seven) = json!({"sub": 7}) else { panic!("an object") };
            assert!(!wanted.holds(&Claims::new(seven, "role", 0), &parts), "{spelling}");
        }
        let level =
            |wanted: Value, claim: Value| holds("level", &wanted, json!({ "level": claim }));
        assert!(level(json!(["a"]), json!("a")) && level(json!(["a", "1"]), json!("1")));
        assert!(!level(json!(["1"]), json!(1)) && !level(json!(["true"]), json!(true)));
        assert!(!level(json!(["a"]), json!("A")) && !level(json!(["a"]), json!({"a": "a"})));
    }

    #[test]
    fn what_could_never_or_always_hold_is_refused_at_the_start() {
        for (key, values) in [
            ("role", &[][..]),
            ("role", &[""]),
            ("role", &["{id}"]),
            ("sub", &[]),
            ("sub", &["{other}"]),
            ("sub", &["x-{id}"]),
            ("sub", &["7", ""]),
        ] {
            let values: Vec<String> = values.iter().map(|&it| it.to_owned()).collect();
            assert!(Requirement::new(key, &values, &["id"]).is_err(), "{key} {values:?}");
        }
    }
}
