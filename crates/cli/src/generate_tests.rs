//! Owns the tests of `olivine generate`'s options and of writing text.

use clap::Parser;
use olivine_lm::GenerationConfig;

use super::*;

#[derive(Parser)]
struct Harness {
    #[command(flatten)]
    generate: Generate,
}

fn parse(arguments: &[&str]) -> Generate {
    let arguments = ["generate"].iter().chain(arguments);
    Harness::try_parse_from(arguments).unwrap().generate
}

fn recommended() -> GenerationConfig {
    GenerationConfig {
        do_sample: Some(true),
        temperature: Some(0.5),
        top_p: Some(0.75),
        ..GenerationConfig::default()
    }
}

/// A byte-level tokenizer of 256 tokens, one per byte; byte 0 is written `Ā`.
fn tokenizer() -> Tokenizer {
    let visible = |b: u32| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut hidden = 0x100..;
    let vocabulary: serde_json::Map<_, _> = (0..256u32)
        .map(|byte| {
            let code = if visible(byte) {
                byte
            } else {
                hidden.next().unwrap()
            };
            (char::from_u32(code).unwrap().to_string(), byte.into())
        })
        .collect();
    let json = serde_json::json!({
        "version": "1.0", "added_tokens": [],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    });
    Tokenizer::parse("tokenizer.json".as_ref(), &json.to_string()).unwrap()
}

/// Writes the bytes of a text as tokens; gives what was printed and why it ended.
fn write(text: &str, interrupt: &Interrupt) -> (String, Option<FinishReason>) {
    let tokenizer = tokenizer();
    let rules = StopRules::new([0], ["END".to_owned()]).unwrap();
    let mut bytes = Vec::new();
    let mut output = Output::new(&mut bytes, false);
    let finish = write_text(
        text.bytes().map(|byte| Ok(u32::from(byte))),
        &mut TextStream::new(&tokenizer, rules),
        &mut output,
        interrupt,
    )
    .unwrap();
    (String::from_utf8(bytes).unwrap(), finish)
}

#[test]
fn flags_override_the_models_recommendations_one_by_one() {
    let options = parse(&["--temp", "0.25", "--seed", "7"])
        .sampling
        .options(&recommended())
        .unwrap();
    assert_eq!((options.temperature, options.top_p), (0.25, 0.75));
    assert_eq!(options.seed, Some(7));
    let plain = parse(&[])
        .sampling
        .options(&GenerationConfig::default())
        .unwrap();
    assert!(plain.is_greedy());
}

#[test]
fn impossible_sampler_flags_are_refused() {
    for arguments in [
        ["--temp", "-1"],
        ["--temp", "NaN"],
        ["--temp", "inf"],
        ["--top-p", "0"],
        ["--top-p", "1.5"],
        ["--min-p", "-0.5"],
    ] {
        let error = parse(&arguments)
            .sampling
            .options(&recommended())
            .unwrap_err();
        assert!(
            matches!(
                error,
                CliError::Model(olivine_lm::Error::SamplerOption { .. })
            ),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_prompt_comes_from_the_flag_or_the_input() {
    let read = |arguments: &[&str], input: &[u8]| parse(arguments).prompt(input);
    assert_eq!(read(&["--prompt", "Hi\n"], b"no").unwrap(), "Hi\n");
    assert_eq!(read(&["--prompt", "--hi"], b"").unwrap(), "--hi");
    assert_eq!(
        read(&["--prompt", "-"], "你好\r\n".as_bytes()).unwrap(),
        "你好"
    );
    assert_eq!(read(&["--prompt", "-"], b"a\n\n").unwrap(), "a\n");
    assert_eq!(read(&[], b"").unwrap(), "Once upon a time");
    assert!(matches!(
        read(&["--prompt", "-"], b"\n"),
        Err(CliError::EmptyPrompt)
    ));
    assert!(matches!(
        read(&["--prompt", ""], b"x"),
        Err(CliError::EmptyPrompt)
    ));
    assert!(matches!(
        read(&["--prompt", "-"], b"ab\xff"),
        Err(CliError::PromptNotUtf8(2))
    ));
}

#[test]
fn prompts_are_wrapped_in_the_chat_template_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let folder = ModelFolder::open(directory.path()).unwrap();
    let tokenizer = tokenizer();
    let tokens = |arguments: &[&str]| {
        let tokens = parse(arguments)
            .prompt_tokens("Hi", &folder, &tokenizer)
            .unwrap();
        tokenizer.decode(&tokens).unwrap()
    };
    assert_eq!(tokens(&[]), "Hi");
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}|";
    std::fs::write(directory.path().join("chat_template.jinja"), template).unwrap();
    assert_eq!(tokens(&[]), "user: Hi|");
    assert_eq!(tokens(&["--ignore-chat-template"]), "Hi");
}

#[test]
fn text_is_written_until_a_stop_rule_or_the_last_token() {
    let calm = Interrupt::default();
    assert_eq!(
        write("héllo E", &calm),
        ("héllo E".to_owned(), Some(FinishReason::Length))
    );
    assert_eq!(
        write("one ENDtwo", &calm),
        (
            "one ".to_owned(),
            Some(FinishReason::StopString("END".to_owned()))
        )
    );
    assert_eq!(
        write("one\0two", &calm),
        ("one".to_owned(), Some(FinishReason::StopToken(0)))
    );
}

#[test]
fn an_interrupt_ends_after_the_current_token_and_is_exit_code_130() {
    let interrupt = Interrupt::default();
    interrupt.press();
    let (text, finish) = write("hello", &interrupt);
    assert_eq!((text.as_str(), &finish), ("h", &None));
    let output = Output::new(Vec::new(), false);
    let exit = conclude(output, &GenerationStats::default(), finish).unwrap();
    assert_eq!(exit, Exit::Interrupted);
}

#[test]
fn the_clock_counts_tokens_and_the_time_to_the_first() {
    let mut clock = Clock::start(3);
    assert_eq!(clock.stats().time_to_first_token, None);
    clock.tick();
    std::thread::sleep(std::time::Duration::from_millis(5));
    clock.tick();
    let stats = clock.stats();
    assert_eq!((stats.prompt_tokens, stats.generation_tokens), (3, 2));
    assert!(stats.generation_time.as_millis() >= 5);
    assert_eq!(stats.time_to_first_token, Some(stats.prompt_time));
}

#[test]
fn the_help_teaches_by_example() {
    use clap::CommandFactory;
    let help = Harness::command().render_long_help().to_string();
    for wanted in ["Examples:", "Once upon a time", "--prompt -", "--json | jq"] {
        assert!(help.contains(wanted), "{wanted}\n{help}");
    }
}
