//! JSON-RPC 2.0: requests, batches and answers as JSON text.
//!
//! Knows no socket and no method. A batch holds at most [`BATCH`] requests. Codes are those of the specification; our own are
//! above -32000 as it leaves them to servers.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Requests in a batch.
pub(crate) const BATCH: usize = 100;

/// One request. Without an `id` it is a notification, which gets no answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) params: Option<Value>,
    pub(crate) id: Option<Value>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

impl Fault {
    /// Not JSON.
    pub(crate) fn parse(message: impl Into<String>) -> Self {
        Self::new(-32700, message)
    }

    /// JSON, but not a request.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32600, message)
    }

    /// No such method.
    pub(crate) fn method_not_found(message: impl Into<String>) -> Self {
        Self::new(-32601, message)
    }

    /// The method's arguments are wrong.
    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// The daemon failed; the log says more.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    /// What was named is not there: a table, a script, a key.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(-32001, message)
    }

    /// It was tried and refused: a bad module, a full table.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(-32002, message)
    }

    /// What a script's command refused, with its own code, a status as SIP's.
    pub(crate) fn of_script(code: u16, message: impl Into<String>) -> Self {
        Self::new(code.into(), message)
    }

    /// Whether the caller is to mend its arguments.
    pub(crate) fn is_about_arguments(&self) -> bool {
        self.code == -32602
    }

    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }
}

/// Answers one text, a request or a batch; nothing where only notifications came.
pub(crate) fn answer(
    text: &[u8],
    mut call: impl FnMut(&Request) -> Result<Value, Fault>,
) -> Option<Vec<u8>> {
    let value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => return Some(refusal(Fault::parse(format!("this is not JSON: {error}")))),
    };
    let Value::Array(batch) = value else {
        return one(value, &mut call).map(|reply| reply.to_string().into_bytes());
    };
    let refusal = match batch.len() {
        0 => Some("an empty batch".to_owned()),
        count if count > BATCH => Some(format!(
            "a batch of {count} requests, expected at most {BATCH}"
        )),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return Some(self::refusal(Fault::invalid_request(refusal)));
    }
    let replies: Vec<_> = batch
        .into_iter()
        .filter_map(|request| one(request, &mut call))
        .collect();
    (!replies.is_empty()).then(|| Value::Array(replies).to_string().into_bytes())
}

/// The answer to what could not even be read as a request.
pub(crate) fn refusal(fault: Fault) -> Vec<u8> {
    reply(&Value::Null, Err(fault)).to_string().into_bytes()
}

fn one(value: Value, call: &mut impl FnMut(&Request) -> Result<Value, Fault>) -> Option<Value> {
    match request(value) {
        Ok(request) => {
            let result = call(&request);
            request.id.map(|id| reply(&id, result))
        }
        Err((id, fault)) => Some(reply(&id, Err(fault))),
    }
}

fn request(value: Value) -> Result<Request, (Value, Fault)> {
    let Value::Object(mut object) = value else {
        return Err((
            Value::Null,
            Fault::invalid_request(
                "expected an object with `jsonrpc`, `method`, `params` and `id`",
            ),
        ));
    };
    let id = object.remove("id");
    let known = id
        .clone()
        .filter(|id| id.is_string() || id.is_number())
        .unwrap_or(Value::Null);
    let wrong = |message: &str| (known.clone(), Fault::invalid_request(message));
    if id
        .as_ref()
        .is_some_and(|id| !(id.is_string() || id.is_number() || id.is_null()))
    {
        return Err(wrong("expected an `id` that is a string, a number or null"));
    }
    if object.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(wrong("expected \"jsonrpc\": \"2.0\""));
    }
    let Some(Value::String(method)) = object.remove("method") else {
        return Err(wrong("expected a `method` that is a string"));
    };
    let params = object.remove("params");
    if params
        .as_ref()
        .is_some_and(|params| !(params.is_array() || params.is_object()))
    {
        return Err(wrong("expected `params` that are an array or an object"));
    }
    Ok(Request { method, params, id })
}

fn reply(id: &Value, result: Result<Value, Fault>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        Err(fault) => json!({ "jsonrpc": "2.0", "error": fault, "id": id }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Value {
        let answer = answer(text.as_bytes(), |request| match request.method.as_str() {
            "echo" => Ok(request.params.clone().unwrap_or(Value::Null)),
            name => Err(Fault::method_not_found(name)),
        });
        answer.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
    }

    #[test]
    fn a_request_is_answered_by_its_id() {
        assert_eq!(
            ask(r#"{"jsonrpc": "2.0", "method": "echo", "params": [1], "id": "a"}"#),
            json!({ "jsonrpc": "2.0", "result": [1], "id": "a" })
        );
        assert_eq!(
            ask(r#"{"jsonrpc": "2.0", "method": "other", "id": 7}"#)["error"]["code"],
            -32601
        );
    }

    #[test]
    fn a_notification_gets_no_answer() {
        assert_eq!(ask(r#"{"jsonrpc": "2.0", "method": "echo"}"#), Value::Null);
        assert_eq!(
            ask(r#"[{"jsonrpc": "2.0", "method": "echo"}]"#),
            Value::Null
        );
    }

    #[test]
    fn a_batch_is_answered_in_one() {
        let answers = ask(
            r#"[{"jsonrpc":"2.0","method":"echo","id":1}, 1, {"jsonrpc":"2.0","method":"echo"}, {"jsonrpc":"2.0","method":"x","id":2}]"#,
        );
        let codes: Vec<_> = answers
            .as_array()
            .unwrap()
            .iter()
            .map(|answer| answer["error"]["code"].as_i64())
            .collect();
        assert_eq!(codes, [None, Some(-32600), Some(-32601)]);
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_code_of_the_specification() {
        for (text, code) in [
            ("{", -32700),
            ("[]", -32600),
            ("1", -32600),
            (r#"{"method": "echo", "id": 1}"#, -32600),
            (r#"{"jsonrpc": "2.0", "id": 1}"#, -32600),
            (
                r#"{"jsonrpc": "2.0", "method": "echo", "params": 1, "id": 1}"#,
                -32600,
            ),
            (r#"{"jsonrpc": "2.0", "method": "echo", "id": []}"#, -32600),
        ] {
            assert_eq!(ask(text)["error"]["code"], code, "{text}");
        }
        let many = format!("[{}]", vec!["1"; BATCH + 1].join(","));
        assert_eq!(ask(&many)["error"]["code"], -32600);
    }
}
