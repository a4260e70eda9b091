//! Owns the tests of finding calls and reasoning.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::*;

/// Neighbouring pieces of text as one, which is what does not depend on how the output is cut.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), &event) {
            (Some(Event::Text(text)), Event::Text(more))
            | (Some(Event::Reasoning(text)), Event::Reasoning(more)) => text.push_str(more),
            _ => joined.push(event),
        }
    }
    joined
}

fn parse(parser: &OutputParser, pieces: &[&str]) -> Vec<Event> {
    let mut parser = parser.clone();
    let mut events: Vec<Event> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    events.extend(parser.finish());
    joined(events)
}

fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

fn thought(text: &str) -> Event {
    Event::Reasoning(text.to_owned())
}

fn call(name: &str, arguments: Value) -> Event {
    Event::ToolCall {
        name: name.to_owned(),
        arguments,
        id: None,
    }
}

fn call_with_id(name: &str, arguments: Value, id: &str) -> Event {
    Event::ToolCall {
        name: name.to_owned(),
        arguments,
        id: Some(id.to_owned()),
    }
}

/// Every output with what it means.
fn cases() -> Vec<(OutputFormat, &'static str, Vec<Event>)> {
    use OutputFormat::{DeepSeek, Gemma, Harmony, Hermes, Llama, Mistral, Plain, Pythonic};
    let paris = || json!({"city": "Paris"});
    vec![
        (
            Plain,
            " Hi <tool_call>{}</tool_call> \n",
            vec![text(" Hi <tool_call>{}</tool_call> \n")],
        ),
        (
            Plain,
            "<think>\nLet me\nsee. \n</think>\n\nYes.",
            vec![thought("Let me\nsee."), text("Yes.")],
        ),
        (
            Plain,
            "<think></think>Yes <think>",
            vec![text("Yes <think>")],
        ),
        (Plain, "<think>never ends ", vec![thought("never ends")]),
        (
            Plain,
            "[THINK]Bon[/THINK]Oui",
            vec![thought("Bon"), text("Oui")],
        ),
        (
            Hermes,
            "<tool_call>\n{\"name\": \"w\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>",
            vec![call("w", paris())],
        ),
        (
            Hermes,
            "<think>é</think>\nSee:\n<tool_call>{\"name\": \"a\", \"arguments\": {\"s\": \"</tool_call>{\\\"\"}}</tool_call>\n<tool_call>{\"name\": \"b\"}</tool_call>\n",
            vec![
                thought("é"),
                text("See:\n"),
                call("a", json!({"s": "</tool_call>{\""})),
                call("b", json!({})),
            ],
        ),
        (
            Hermes,
            "<tool_call>{\"name\": \"a\", \"arguments\": \"{\\\"x\\\": 1}\"}",
            vec![call("a", json!({"x": 1}))],
        ),
        (
            Hermes,
            "{\"name\": \"w\", \"arguments\": {\"city\": \"Paris\"}}",
            vec![call("w", paris())],
        ),
        (
            Hermes,
            "{\"name\": \"Ada\", \"age\": 36}",
            vec![text("{\"name\": \"Ada\", \"age\": 36}")],
        ),
        (Hermes, "[1, 2]", vec![text("[1, 2]")]),
        (
            Hermes,
            "<tool_call>nonsense</tool_call> and on",
            vec![text("<tool_call>nonsense</tool_call> and on")],
        ),
        (
            Hermes,
            "<tool_call>\n<function=w>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n[1, 2]\n</parameter>\n</function>\n</tool_call>",
            vec![call("w", json!({"city": "Paris", "days": [1, 2]}))],
        ),
        (
            Hermes,
            "<tool_call>w\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
            vec![call("w", paris())],
        ),
        (
            Mistral,
            "[TOOL_CALLS] [{\"name\": \"w\", \"arguments\": {\"city\": \"Paris\"}, \"id\": \"abc123\"}, {\"name\": \"x\", \"arguments\": {}}]",
            vec![call_with_id("w", paris(), "abc123"), call("x", json!({}))],
        ),
        (
            Mistral,
            "Ok.[TOOL_CALLS]w[ARGS]{\"city\": \"Paris\"}[TOOL_CALLS]x[CALL_ID]i9[ARGS]{} y[ARGS]{\"k\": \"]}\"}",
            vec![
                text("Ok."),
                call("w", paris()),
                call_with_id("x", json!({}), "i9"),
                call("y", json!({"k": "]}"})),
            ],
        ),
        (
            Mistral,
            "[TOOL_CALLS]w[ARGS]{}done",
            vec![call("w", json!({})), text("done")],
        ),
        (
            Mistral,
            "[TOOL_CALLS]w [ARGS]{}",
            vec![text("[TOOL_CALLS]w [ARGS]{}")],
        ),
        (Mistral, "[TOOL_CALLS][1]", vec![text("[TOOL_CALLS][1]")]),
        (Mistral, "[TOOL_CALLS] how", vec![text("[TOOL_CALLS] how")]),
        (
            Llama,
            "<|python_tag|>{\"name\": \"w\", \"parameters\": {\"city\": \"Paris\"}}",
            vec![call("w", paris())],
        ),
        (
            Llama,
            "{\"type\": \"function\", \"name\": \"w\", \"parameters\": {\"city\": \"Paris\"}}; {\"name\": \"x\", \"parameters\": {}}\n",
            vec![call("w", paris()), call("x", json!({}))],
        ),
        (
            Llama,
            "{\"name\": \"w\", \"parameters\": {}}; but",
            vec![call("w", json!({})), text("; but")],
        ),
        (Llama, "{\"answer\": 42}", vec![text("{\"answer\": 42}")]),
        (
            Llama,
            "Hm <function=w>{\"city\": \"Paris\"}</function>",
            vec![text("Hm "), call("w", paris())],
        ),
        (
            Llama,
            "<|python_tag|>print(1)",
            vec![text("<|python_tag|>print(1)")],
        ),
        (
            Gemma,
            "```tool_code\nprint(w(city=\"Paris\"))\n```",
            vec![call("w", paris())],
        ),
        (
            Gemma,
            "```tool_code\na(x=-1.5, y=[True, None], z={'k': (1,)})\ndefault_api.b()\n```\nDone",
            vec![
                call("a", json!({"x": -1.5, "y": [true, null], "z": {"k": [1]}})),
                call("b", json!({})),
                text("\nDone"),
            ],
        ),
        (
            Gemma,
            "```json\n{\"name\": \"w\", \"parameters\": {\"city\": \"Paris\"}}\n```",
            vec![call("w", paris())],
        ),
        (
            Gemma,
            "```json\n{\"a\": 1}\n``` x",
            vec![text("```json\n{\"a\": 1}\n``` x")],
        ),
        (
            Gemma,
            "<start_function_call>call:w{city:<escape>Paris<escape>,n:2}<end_function_call>",
            vec![call("w", json!({"city": "Paris", "n": 2}))],
        ),
        (
            Gemma,
            "<|channel>thought\nHm<channel|><|tool_call>call:w{city:<|\"|>Pa}ris<|\"|>,a:[{b:true}]}<tool_call|>",
            vec![
                thought("Hm"),
                call("w", json!({"city": "Pa}ris", "a": [{"b": true}]})),
            ],
        ),
        (
            DeepSeek,
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>w\n```json\n{\"city\": \"Paris\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>x<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
            vec![call("w", paris()), call("x", json!({}))],
        ),
        (
            DeepSeek,
            "<｜tool▁call▁begin｜>?<｜tool▁call▁end｜>",
            vec![text("<｜tool▁call▁begin｜>?<｜tool▁call▁end｜>")],
        ),
        (
            Harmony,
            "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>commentary to=functions.w <|constrain|>json<|message|>{\"city\": \"Paris\"}<|call|>",
            vec![thought("Think."), call("w", paris())],
        ),
        (
            Harmony,
            "<|channel|>commentary<|message|>First.<|end|><|start|>assistant to=functions.x<|channel|>commentary<|message|>{}<|call|><|start|>assistant<|channel|>final<|message|>Yes < no.<|return|>",
            vec![text("First."), call("x", json!({})), text("Yes < no.")],
        ),
        (Harmony, "just text", vec![text("just text")]),
        (
            Harmony,
            "<|channel|>commentary to=w<|message|>{oops<|call|>",
            vec![text("<|channel|>commentary to=w<|message|>{oops")],
        ),
        (
            Pythonic,
            "<|tool_call_start|>[w(city='Paris'), x(s=\"a\\n\\u00e9\")]<|tool_call_end|>ok",
            vec![
                call("w", paris()),
                call("x", json!({"s": "a\né"})),
                text("ok"),
            ],
        ),
    ]
}

#[test]
fn every_format_is_understood() {
    for (format, output, expected) in cases() {
        let parser = OutputParser::new(format);
        assert_eq!(parse(&parser, &[output]), expected, "{format:?}: {output}");
    }
}

#[test]
fn cutting_the_output_anywhere_changes_nothing() {
    for (format, output, expected) in cases() {
        let parser = OutputParser::new(format);
        for (place, _) in output.char_indices() {
            let pieces = [&output[..place], &output[place..]];
            assert_eq!(parse(&parser, &pieces), expected, "{format:?}: {pieces:?}");
        }
        let single: Vec<&str> = output
            .char_indices()
            .map(|(place, c)| &output[place..place + c.len_utf8()])
            .collect();
        assert_eq!(
            parse(&parser, &single),
            expected,
            "{format:?}: one by one: {output}"
        );
    }
}

const FORMATS: [OutputFormat; 8] = [
    OutputFormat::Plain,
    OutputFormat::Hermes,
    OutputFormat::Mistral,
    OutputFormat::Llama,
    OutputFormat::Gemma,
    OutputFormat::DeepSeek,
    OutputFormat::Harmony,
    OutputFormat::Pythonic,
];

#[test]
fn marks_in_any_order_neither_panic_nor_depend_on_cuts() {
    let mut random = StdRng::seed_from_u64(7);
    for format in FORMATS {
        let mut parts = markers(format);
        parts.extend([
            "{",
            "}",
            "[",
            "]",
            "\"",
            "\\",
            "name",
            "\"name\": \"f\"",
            "\"arguments\": {}",
            " ",
        ]);
        parts.extend([
            ",", ";", "é", "f(x=", "')", "call:f{", "to=f", "\n", "=", ">", "<",
        ]);
        for _ in 0..3000 {
            let count = random.random_range(1..12);
            let pieces: Vec<&str> = (0..count)
                .map(|_| parts[random.random_range(0..parts.len())])
                .collect();
            let parser = OutputParser::new(format);
            let whole = pieces.concat();
            let single: Vec<String> = whole.chars().map(String::from).collect();
            let single: Vec<&str> = single.iter().map(String::as_str).collect();
            let expected = parse(&parser, &[&whole]);
            assert_eq!(parse(&parser, &pieces), expected, "{format:?}: {pieces:?}");
            assert_eq!(parse(&parser, &single), expected, "{format:?}: {whole}");
        }
    }
}

fn markers(format: OutputFormat) -> Vec<&'static str> {
    format.markers()
}

#[test]
fn text_without_marks_is_never_held_back_or_lost() {
    for format in FORMATS {
        if format == OutputFormat::Harmony {
            continue;
        }
        let mut parser = OutputParser::new(format);
        let words = "A plain answer, 1 + 1 = 2; really.";
        for word in words.split_inclusive(' ') {
            assert_eq!(parser.push(word), [text(word)], "{format:?}");
        }
        assert!(parser.finish().is_empty());
    }
}

#[test]
fn json_that_is_no_call_streams_as_soon_as_its_first_key_is_known() {
    let mut parser = OutputParser::new(OutputFormat::Llama);
    assert!(parser.push("{\"").is_empty());
    assert_eq!(parser.push("answer"), [text("{\"answer")]);
    assert_eq!(parser.push("\": 42"), [text("\": 42")]);
}

#[test]
fn hostile_output_costs_time_in_proportion_to_its_length() {
    // Each of these would take minutes if every piece looked at everything before it.
    for (format, piece) in [
        (OutputFormat::Hermes, "<tool_call>"),
        (OutputFormat::Hermes, "<tool_call>{\"a\": \"</tool_call>"),
        (OutputFormat::Gemma, "```json["),
        (OutputFormat::Mistral, "[TOOL_CALLS]a[ARGS]"),
        (OutputFormat::Llama, "{\"name\":["),
        (OutputFormat::Harmony, "<|channel|>a to=b<|message|>{"),
    ] {
        let mut parser = OutputParser::new(format);
        let mut length = 0;
        for _ in 0..20_000 {
            length += count(&parser.push(piece));
        }
        length += count(&parser.finish());
        assert!(length > 0, "{format:?} {piece}");
    }
}

fn count(events: &[Event]) -> usize {
    let length = |event: &Event| match event {
        Event::Text(text) | Event::Reasoning(text) => text.len(),
        Event::ToolCall { name, .. } => name.len(),
    };
    events.iter().map(length).sum()
}

#[test]
fn deep_nesting_is_text_and_no_stack_overflow() {
    let deep = |open: &str, inner: &str| open.to_owned() + &inner.repeat(100_000);
    for (format, output) in [
        (OutputFormat::Hermes, deep("<tool_call>", "[")),
        (
            OutputFormat::Pythonic,
            deep("<|tool_call_start|>[f(x=", "["),
        ),
        (OutputFormat::Gemma, deep("<|tool_call>call:f{x:", "[")),
        (
            OutputFormat::Gemma,
            deep("<start_function_call>call:f", "{a:"),
        ),
    ] {
        assert_eq!(
            parse(&OutputParser::new(format), &[&output]),
            [text(&output)]
        );
    }
}

#[test]
fn a_prompt_may_have_opened_the_reasoning() {
    let parser =
        OutputParser::new(OutputFormat::Hermes).after_prompt("<|im_start|>assistant\n<think>\n");
    let events = parse(&parser, &["Hm.\n</think>\n\nYes"]);
    assert_eq!(events, [thought("Hm."), text("Yes")]);
    // Reasoning that was opened and closed is over.
    let parser = OutputParser::new(OutputFormat::Hermes).after_prompt("<think>\n\n</think>\n\n");
    assert_eq!(parse(&parser, &["Yes"]), [text("Yes")]);
    let prompt =
        "<|start|>user<|message|>Hi<|end|><|start|>assistant<|channel|>analysis<|message|>";
    let parser = OutputParser::new(OutputFormat::Harmony).after_prompt(prompt);
    let events = parse(
        &parser,
        &["So<|end|><|start|>assistant<|channel|>final<|message|>Hi"],
    );
    assert_eq!(events, [thought("So"), text("Hi")]);
}

#[test]
fn types_of_tools_decide_what_xml_arguments_are() {
    let tools = json!([{"function": {"name": "f", "parameters": {"properties": {
        "n": {"type": "integer"}, "s": {"type": "string"}, "b": {"type": "boolean"}}}}}]);
    let parser = OutputParser::new(OutputFormat::Hermes).with_tools(tools.as_array().unwrap());
    let output = "<tool_call><function=f><parameter=n>3</parameter><parameter=s>3</parameter>\
        <parameter=b>true</parameter><parameter=other>3</parameter></function></tool_call>";
    let expected = call("f", json!({"n": 3, "s": "3", "b": true, "other": "3"}));
    assert_eq!(parse(&parser, &[output]), [expected]);
}

#[test]
fn templates_tell_the_format() {
    use OutputFormat::{DeepSeek, Gemma, Harmony, Hermes, Llama, Mistral, Plain, Pythonic};
    for (model_type, template, format) in [
        ("qwen3", Some("… <tool_call> …"), Hermes),
        ("qwen2", None, Hermes),
        (
            "llama",
            Some("… Respond in the format {\"name\": …, \"parameters\": …}"),
            Llama,
        ),
        ("llama", Some("{{ messages }}"), Plain),
        ("mistral", Some("[TOOL_CALLS]"), Mistral),
        ("mistral", Some("[INST]"), Plain),
        ("gemma3", Some("<start_of_turn>"), Gemma),
        ("deepseek_v3", Some("<｜tool▁calls▁begin｜>"), DeepSeek),
        ("gpt_oss", None, Harmony),
        ("lfm2", Some("<|tool_list_start|>"), Pythonic),
        ("unheard_of", None, Plain),
    ] {
        assert_eq!(
            OutputFormat::detect(model_type, template),
            format,
            "{model_type}"
        );
    }
}
