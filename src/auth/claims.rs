//! What a token says of its bearer, after its signature held.
//!
//! Claims are read strictly: a key that stands twice or a deep nest is refused, because two
//! readers of such a text may disagree on what it says.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Claims nest little; what nests more is an attack on whoever walks it.
const DEPTH_MAX: usize = 16;

/// The claims of one verified token. Lives as long as the connection that brought it.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    object: Map<String, Value>,
    roles: Vec<String>,
    expires_at: i64,
}

impl Claims {
    /// Takes the claims of a token whose signature, times, issuer and audience held.
    pub(super) fn new(object: Map<String, Value>, role_claim: &str, expires_at: i64) -> Self {
        let mut roles = match find(&object, role_claim) {
            Some(Value::String(role)) => vec![role.clone()],
            // A member that is no text names no role; it must not hide the others.
            Some(Value::Array(roles)) => {
                roles.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        };
        roles.sort_unstable();
        roles.dedup();
        Self { object, roles, expires_at }
    }

    /// Who it is (`sub`), if the token names somebody by text.
    pub fn subject(&self) -> Option<&str> {
        self.object.get("sub").and_then(Value::as_str)
    }

    /// Who it is, as a key to count by: equal for the same value of `sub` and for no other.
    pub fn subject_key(&self) -> Option<String> {
        self.object.get("sub").map(Value::to_string)
    }

    /// Whether both tokens name the same somebody, or both nobody. What they may see is judged
    /// anew by either's claims, so two that name nobody can be taken for each other.
    pub fn same_subject(&self, other: &Self) -> bool {
        self.object.get("sub") == other.object.get("sub")
    }

    /// The roles, sorted and each once.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Whether `role` is among the roles.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|it| it == role)
    }

    /// Seconds since 1970 at which nothing may be sent any more.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// The claim at a dotted path (`app.team.id`). A key that itself holds the dots wins, since
    /// issuers name claims by address (`https://example.com/role`).
    pub fn get(&self, path: &str) -> Option<&Value> {
        find(&self.object, path)
    }
}

/// Claims are about people: a debug print says that there are some, never which.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

fn find<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let inner = object.get(&path[..dot])?.as_object()?;
        find(inner, &path[dot + 1..])
    })
}

/// A JSON object read strictly. For a token's payload alone.
pub(super) struct StrictObject(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict(DEPTH_MAX).deserialize(deserializer)? {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(de::Error::custom("no object")),
        }
    }
}

/// A value that may nest so much deeper.
#[derive(Clone, Copy)]
struct Strict(usize);

impl Strict {
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nests too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(member) = members.next_element_seed(inner)? {
            array.push(member);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(key, value).is_some() {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Claims, StrictObject};

    fn claims(value: Value, role_claim: &str) -> Claims {
        let Value::Object(object) = value else { panic!("claims are an object") };
        Claims::new(object, role_claim, 0)
    }

    #[test]
    fn a_claim_is_found_by_path_and_the_exact_key_wins() {
        let it = claims(
            json!({"a": {"b": {"c": 1}, "b.c": 2}, "x.y": 3, "x": {"y": 4}, "https://e.x/r": 5,
                "list": [{"a": 1}]}),
            "role",
        );
        let get = |path| it.get(path).cloned();
        assert_eq!(get("a.b.c"), Some(json!(2)));
        assert_eq!(get("a.b"), Some(json!({"c": 1})));
        assert_eq!(get("x.y"), Some(json!(3)));
        assert_eq!(get("https://e.x/r"), Some(json!(5)));
        for path in ["", ".", "a.", ".a", "a..b", "list.0.a", "a.b.c.d"] {
            assert_eq!(get(path), None, "{path}");
        }
    }

    #[test]
    fn roles_are_a_text_or_the_texts_of_an_array() {
        let roles = |value, path| claims(value, path).roles().to_vec();
        assert_eq!(roles(json!({"role": "admin"}), "role"), ["admin"]);
        assert_eq!(roles(json!({"role": ["b", "a", "b", 7, null]}), "role"), ["a", "b"]);
        assert_eq!(roles(json!({"realm": {"roles": ["x"]}}), "realm.roles"), ["x"]);
        for value in
            [json!({}), json!({"role": 1}), json!({"role": {"a": 1}}), json!({"role": null})]
        {
            assert!(roles(value, "role").is_empty());
        }
    }

    #[test]
    fn the_same_subject_is_the_same_value() {
        let sub = |value: Value| claims(json!({"sub": value}), "role");
        let nobody = Claims::new(Map::new(), "role", 0);
        assert!(sub(json!("7")).same_subject(&sub(json!("7"))));
        assert!(!sub(json!("7")).same_subject(&sub(json!("8"))));
        assert!(!sub(json!("7")).same_subject(&sub(json!(7))));
        assert!(!sub(json!(7)).same_subject(&sub(json!(8))));
        assert!(nobody.same_subject(&nobody));
        assert!(!nobody.same_subject(&sub(json!("7"))) && !sub(json!("7")).same_subject(&nobody));
        assert_ne!(sub(json!("7")).subject_key(), sub(json!(7)).subject_key());
        assert_eq!(nobody.subject_key(), None);
    }

    #[test]
    fn a_text_that_two_readers_read_differently_is_refused() {
        let read = |text: &str| serde_json::from_str::<StrictObject>(text).is_ok();
        assert!(read(r#"{"a":1,"b":{"a":2}}"#));
        assert!(!read(r#"{"a":1,"a":1}"#));
        assert!(!read(r#"{"o":{"a":1,"\u0061":1}}"#));
        assert!(!read("[]"));
        let nest = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nest(15)));
        assert!(!read(&nest(16)));
        assert!(!read(&nest(4000)));
    }

    #[test]
    fn a_debug_print_names_no_claim() {
        let it = claims(json!({"sub": "someone", "role": "admin"}), "role");
        assert_eq!(format!("{it:?}"), "Claims { expires_at: 0, .. }");
    }
}
