//! Owns the tests of structured output: whatever the logits, the text fits.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::*;
use crate::test_tokenizers::{byte_fallback, byte_level, metaspace, word_piece};
use crate::{ModelFolder, Sampler, SamplerOptions};

fn shipped() -> Tokenizer {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/olivine-tiny-stories"
    );
    let folder = ModelFolder::open(path).unwrap();
    let (config, generation) = (
        folder.config().unwrap(),
        folder.generation_config().unwrap(),
    );
    Tokenizer::load(&folder, &config, &generation).unwrap()
}

/// What the tokens spell, exactly: a decoder may drop the first space.
fn spell(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let bytes = tokenizer.all_bytes().unwrap().unwrap();
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|&token| bytes[token as usize].clone())
        .collect();
    String::from_utf8(bytes).unwrap()
}

/// A text by a model whose logits are noise.
fn babble(grammar: &Grammar, tokenizer: &Tokenizer, seed: u64) -> String {
    let options = SamplerOptions {
        temperature: 1.0,
        seed: Some(seed),
        ..SamplerOptions::greedy()
    };
    let matcher = grammar.matcher(tokenizer).unwrap();
    let mut sampler = Sampler::new(options).unwrap().with_grammar(matcher);
    let mut random = StdRng::seed_from_u64(seed);
    let mut tokens = Vec::new();
    while !sampler.is_finished() {
        assert!(tokens.len() < 2000, "{}", spell(tokenizer, &tokens));
        // More logits than tokens, as many models have.
        let logits: Vec<f32> = (0..tokenizer.vocab_size() + 7)
            .map(|_| random.random_range(-4.0..4.0))
            .collect();
        let token = sampler.sample(&logits, &tokens).unwrap().token;
        if !tokenizer.eos_ids().contains(&token) {
            tokens.push(token);
        }
    }
    spell(tokenizer, &tokens)
}

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["fox", "bär", 3]},
        "sizes": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 3},
        "happy": {"type": "boolean"}
    },
    "required": ["name", "kind", "sizes"],
    "additionalProperties": false
}"#;

fn fits(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return false;
    };
    let known = ["name", "kind", "sizes", "happy"];
    let name = object["name"].as_str();
    let sizes = object["sizes"].as_array();
    let small = |size: &Value| size.as_u64().is_some_and(|size| size <= 99);
    object.keys().all(|key| known.contains(&key.as_str()))
        && name.is_some_and(|name| name.chars().count() <= 12)
        && ["fox".into(), "bär".into(), Value::from(3)].contains(&object["kind"])
        && sizes.is_some_and(|sizes| sizes.len() <= 3 && sizes.iter().all(small))
        && object.get("happy").is_none_or(Value::is_boolean)
}

#[test]
fn noise_under_a_schema_is_json_that_fits() {
    let grammar = Grammar::json_schema(SCHEMA).unwrap();
    for (tokenizer, seeds) in [(shipped(), 60), (byte_level(), 20), (byte_fallback(), 20)] {
        for seed in 0..seeds {
            let text = babble(&grammar, &tokenizer, seed);
            let value: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(fits(&value), "{text}");
        }
    }
}

#[test]
fn a_model_that_loves_blanks_comes_to_an_end() {
    let schema = r#"{"type": "object", "properties": {"a": {"type": "integer", "maximum": 9}},
        "required": ["a"], "additionalProperties": false}"#;
    let tokenizer = shipped();
    let matcher = Grammar::json_schema(schema).unwrap().matcher(&tokenizer);
    let sampler = Sampler::new(SamplerOptions::greedy()).unwrap();
    let mut sampler = sampler.with_grammar(matcher.unwrap());
    let bytes = tokenizer.all_bytes().unwrap().unwrap();
    let blank = |bytes: &Vec<u8>| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_whitespace);
    // Blanks before all, then digits and signs in the order of their bytes.
    let likes = |bytes: &Vec<u8>| {
        if blank(bytes) {
            1000.0
        } else {
            -f32::from(bytes.first().copied().unwrap_or(255))
        }
    };
    let logits: Vec<f32> = bytes.iter().map(likes).collect();
    let mut tokens = Vec::new();
    while !sampler.is_finished() {
        assert!(tokens.len() < 400, "{}", spell(&tokenizer, &tokens));
        tokens.push(sampler.sample(&logits, &tokens).unwrap().token);
    }
    let text = spell(&tokenizer, &tokens);
    let end = text.rfind('}').unwrap();
    let value: Value = serde_json::from_str(&text[..=end]).unwrap();
    assert!(value["a"].is_i64(), "{text}");
}

#[test]
fn noise_under_a_regular_expression_matches() {
    let grammar = Grammar::regex(r"(he|she) said [a-z ]{0,20}\.").unwrap();
    for tokenizer in [shipped(), byte_level(), byte_fallback(), metaspace()] {
        for seed in 0..50 {
            let text = babble(&grammar, &tokenizer, seed);
            let said = text.strip_prefix("she").or_else(|| text.strip_prefix("he"));
            let said = said.and_then(|rest| rest.strip_prefix(" said ")?.strip_suffix('.'));
            let said = said.unwrap_or_else(|| panic!("{text}"));
            assert!(
                said.len() <= 20 && said.chars().all(|c| c == ' ' || c.is_ascii_lowercase()),
                "{text}"
            );
        }
    }
}

#[test]
fn grammars_in_lark_and_gbnf_allow_the_same() {
    let lark = Grammar::lark("start: item\nitem: \"(\" item item? \")\" | /[ab]/");
    let gbnf = Grammar::gbnf(
        "# nested pairs\nroot ::= item\nitem ::= \"(\" item\n  item? \")\" | [a-b] # a leaf\n",
    )
    .unwrap();
    let tokenizer = shipped();
    for seed in 0..40 {
        // Noise would nest for ever, so a walk through short texts decides instead.
        let mut random = StdRng::seed_from_u64(seed);
        let mut text = String::new();
        let (mut left, mut right) = (
            lark.matcher(&tokenizer).unwrap(),
            gbnf.matcher(&tokenizer).unwrap(),
        );
        for _ in 0..12 {
            let c = ["(", ")", "a", "b", "c"][random.random_range(0..5)];
            let token = tokenizer.token_to_id(c).unwrap();
            let allowed = left.accept(token).is_ok();
            assert_eq!(right.accept(token).is_ok(), allowed, "{text} {c}");
            if allowed {
                text.push_str(c);
            }
            assert_eq!(
                left.may_stop().unwrap(),
                right.may_stop().unwrap(),
                "{text}"
            );
        }
        assert!(!text.is_empty());
    }
}

#[test]
fn a_whole_json_grammar_in_gbnf_gives_json() {
    let grammar = r#"
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value){0,2} )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) ){0,9} "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,2}
"#;
    let grammar = Grammar::gbnf(grammar).unwrap();
    let tokenizer = shipped();
    let mut matcher = grammar.matcher(&tokenizer).unwrap();
    let text = "{\"a\": [1, -2.5e3, \"x\\n\\u00e9\", {}], \"b\":null}";
    for c in text.chars() {
        let token = tokenizer.encode(&c.to_string()).unwrap();
        matcher
            .accept(*token.last().unwrap())
            .unwrap_or_else(|error| panic!("{c}: {error}"));
    }
    assert!(matcher.may_stop().unwrap());
    let mut matcher = grammar.matcher(&tokenizer).unwrap();
    matcher.accept(tokenizer.token_to_id("{").unwrap()).unwrap();
    assert!(matcher.accept(tokenizer.token_to_id("a").unwrap()).is_err());
}

#[test]
fn keywords_do_not_cut_gbnf_identifiers() {
    let grammar = Grammar::gbnf("root ::= word (\" \" root)?\nword ::= \"if\" | [a-z]+").unwrap();
    let tokenizer = shipped();
    let mut matcher = grammar.matcher(&tokenizer).unwrap();
    for c in ["i", "f", "x", " ", "i", "f", " ", "a"] {
        let token = if c == " " {
            tokenizer.token_to_id("Ġ")
        } else {
            tokenizer.token_to_id(c)
        };
        matcher.accept(token.unwrap()).unwrap();
    }
    assert!(matcher.may_stop().unwrap());
}

#[test]
fn bad_descriptions_are_errors_that_say_why() {
    let fail = |result: Result<Grammar>| match result {
        Err(Error::Grammar { kind, message }) => format!("{kind}: {message}"),
        other => panic!("{other:?}"),
    };
    for (found, wanted) in [
        (fail(Grammar::json_schema("{")), "JSON schema: EOF"),
        (fail(Grammar::json_schema(r#"{"type": "fish"}"#)), "fish"),
        (
            fail(Grammar::json_schema(r##"{"$ref": "#/$defs/a"}"##)),
            "JSON schema",
        ),
        (
            fail(Grammar::json_schema(
                r#"{"type": "integer", "minimum": 3, "maximum": 2}"#,
            )),
            "nsatisfiable",
        ),
        (fail(Grammar::regex("a(")), "regular expression: "),
        (fail(Grammar::regex(r"(?=a)b")), "regular expression: "),
        (fail(Grammar::gbnf("")), "no rule `root`"),
        (
            fail(Grammar::gbnf("root ::= a\n\n")),
            "rule `a` is not defined",
        ),
        (
            fail(Grammar::gbnf("root ::= \"a\nb\"")),
            "line 1: the string has no end",
        ),
        (
            fail(Grammar::gbnf("root ::= \"a\"\nroot ::= \"b\"")),
            "defined twice",
        ),
        (
            fail(Grammar::gbnf("root ::= \"a\"\n)")),
            "line 2: `)` was not expected",
        ),
        (fail(Grammar::gbnf("root ::= [z-a]")), "upside down"),
        (fail(Grammar::gbnf("root ::= [a")), "no end"),
        (
            fail(Grammar::gbnf("root ::= \"\\q\"")),
            "`\\q` means nothing",
        ),
        (
            fail(Grammar::gbnf("root ::= \"a\"{3,2}")),
            "below the least",
        ),
        (fail(Grammar::gbnf("root ::= !<a>")), "negated"),
        (
            fail(Grammar::gbnf(&format!("root ::= {}", "(".repeat(10_000)))),
            "too deep",
        ),
    ] {
        assert!(found.contains(wanted), "{found:?} lacks {wanted:?}");
        assert!(!found.contains('\n'), "{found}");
    }
    let error = Grammar::lark("start: (")
        .matcher(&byte_level())
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Grammar {
                kind: "Lark grammar",
                ..
            }
        ),
        "{error}"
    );
    let error = Grammar::json().unwrap().matcher(&word_piece()).unwrap_err();
    assert!(
        error.to_string().contains("depend on their neighbours"),
        "{error}"
    );
}

#[test]
fn control_tokens_are_neither_text_nor_forbidden_to_a_grammar_that_names_them() {
    let tokenizer = shipped();
    let mut logits = vec![0.0; tokenizer.vocab_size()];
    let mut anything = Grammar::regex("(.|\n)*")
        .unwrap()
        .matcher(&tokenizer)
        .unwrap();
    anything.mask(&mut logits).unwrap();
    let bytes = tokenizer.all_bytes().unwrap().unwrap();
    for id in 0..logits.len() as u32 {
        // Tokens that are parts of a character may not begin a text.
        if !tokenizer.is_special(id) && std::str::from_utf8(&bytes[id as usize]).is_err() {
            continue;
        }
        let allowed = !tokenizer.is_special(id) || tokenizer.eos_ids().contains(&id);
        assert_eq!(
            logits[id as usize] == 0.0,
            allowed,
            "{:?}",
            tokenizer.id_to_token(id)
        );
    }
    let special =
        (0..10).find(|&id| tokenizer.is_special(id) && !tokenizer.eos_ids().contains(&id));
    let special = special.unwrap();
    let name = tokenizer.id_to_token(special).unwrap();
    let mut matcher = Grammar::lark(&format!("start: {name} \"a\""))
        .matcher(&tokenizer)
        .unwrap();
    matcher.accept(special).unwrap();
    assert!(!matcher.may_stop().unwrap());
}

#[test]
fn a_finished_text_only_ends() {
    let tokenizer = shipped();
    let mut matcher = Grammar::regex("a").unwrap().matcher(&tokenizer).unwrap();
    let a = tokenizer.token_to_id("a").unwrap();
    matcher.accept(a).unwrap();
    assert!(matcher.is_finished());
    assert!(matches!(matcher.accept(a), Err(Error::NotInGrammar { .. })));
    let mut logits = vec![0.0; tokenizer.vocab_size()];
    matcher.mask(&mut logits).unwrap();
    let left: Vec<u32> = (0..)
        .zip(&logits)
        .filter(|(_, l)| **l == 0.0)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(
        left,
        tokenizer.eos_ids().iter().copied().collect::<Vec<_>>()
    );
    matcher.accept(left[0]).unwrap();
    assert!(matcher.accept(4_000_000).is_err());
}

#[test]
fn matchers_may_move_between_threads() {
    fn check<T: Send>() {}
    check::<Matcher>();
    check::<Sampler>();
    fn shared<T: Send + Sync>() {}
    shared::<Tokenizer>();
    shared::<Grammar>();
}

#[test]
fn what_must_come_is_spelt_as_a_tokenizer_spells_it() {
    let forced = |expression: &str, tokenizer: &Tokenizer| {
        let mut matcher = Grammar::regex(expression)
            .unwrap()
            .matcher(tokenizer)
            .unwrap();
        let tokens = matcher.forced();
        // Asking changes nothing, and what is spelt may come.
        assert_eq!(matcher.forced(), tokens);
        for &token in &tokens {
            matcher.accept(token).unwrap();
        }
        tokens
    };
    for tokenizer in [shipped(), byte_level(), byte_fallback()] {
        let tokens = forced("said hello(!|, 🙂)", &tokenizer);
        assert_eq!(spell(&tokenizer, &tokens), "said hello");
        assert!(tokens.len() < "said hello".len(), "{tokens:?}");
        // Half a letter is not text yet.
        let tokens = forced("na(ï|é)f", &tokenizer);
        assert_eq!(spell(&tokenizer, &tokens), "na");
        assert!(forced("a|b", &tokenizer).is_empty());
        assert_eq!(spell(&tokenizer, &forced(" hill", &tokenizer)), " hill");
    }
    let spelt = forced("fox", &metaspace());
    assert!(["fox", ""].contains(&&*spell(&metaspace(), &spelt)));
}
