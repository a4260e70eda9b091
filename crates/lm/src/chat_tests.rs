//! Owns the tests of chat templates, written in the styles that published models use.

use super::*;

const CHATML: &str = "{% for message in messages %}
{% if loop.first and message['role'] != 'system' %}
{{ '<|im_start|>system\\nYou are kind.<|im_end|>\\n' }}
{% endif %}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}";

const LLAMA2: &str = "{% if messages[0]['role'] == 'system' %}\
    {% set system = '<<SYS>>\\n' + messages[0]['content'].strip() + '\\n<</SYS>>\\n\\n' %}\
    {% set turns = messages[1:] %}\
{% else %}{% set system = '' %}{% set turns = messages %}{% endif %}\
{% for turn in turns %}\
    {% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}\
        {{ raise_exception('Roles must take turns: user, assistant, user, …') }}\
    {% endif %}\
    {% if turn['role'] == 'user' %}\
        {{ bos_token + '[INST] ' + (system if loop.first else '') + turn['content'].strip() + ' [/INST]' }}\
    {% elif turn['role'] == 'assistant' %}\
        {{ ' ' + turn['content'].strip() + ' ' + eos_token }}\
    {% endif %}\
{% endfor %}";

const LLAMA3: &str = "{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now('%d %b %Y') %}
{%- endif %}
{%- if messages[0].role == 'system' %}
    {%- set system_message = messages[0].content | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = '' %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}
{{- 'Today: ' + date_string + '\\n\\n' + system_message }}
{%- if tools is not none %}
    {%- for tool in tools %}
        {{- '\\n' }}{{- tool | tojson(indent=4) }}
    {%- endfor %}
{%- endif %}
{{- '<|eot_id|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
";

const MISTRAL: &str = r#"{%- set ns = namespace(index=0, last="") %}
{%- for message in messages %}
    {%- if message["role"] not in ["user", "assistant", "system"] %}
        {{- raise_exception("Only user, assistant and system roles, not " + message["role"] + "!") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
    {%- set ns.last = message["role"] %}
{%- endfor %}
{{- bos_token }}
{%- for message in messages if message.role != "system" %}
    {%- if message["role"] == "user" %}
        {{- "[INST]" + message["content"] + "[/INST]" }}
    {%- else %}
        {%- generation %}
        {{- message["content"] + eos_token }}
        {%- endgeneration %}
    {%- endif %}
{%- endfor %}"#;

fn template(source: &str) -> ChatTemplate {
    let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")];
    let tokens = tokens.map(|(name, text)| (name.to_owned(), text.to_owned()));
    ChatTemplate::compile("m/chat_template.jinja", source, tokens.into()).unwrap()
}

fn dialogue() -> Vec<Message> {
    vec![
        Message::new(Role::System, " Be brief. "),
        Message::user("Hi <b>&</b> \"you\" 你好"),
        Message::new(Role::Assistant, "Hello."),
        Message::user("Bye"),
    ]
}

/// Renders an expression with `x` bound to a value.
fn expression(source: &str, x: serde_json::Value) -> Result<String> {
    template(source).render_with(&[], false, &BTreeMap::from([("x".to_owned(), x)]))
}

#[test]
fn chatml_adds_the_default_system_turn_and_the_generation_prompt() {
    let text = template(CHATML)
        .render(&[Message::user("Hi")], true)
        .unwrap();
    assert_eq!(
        text,
        "<|im_start|>system\nYou are kind.<|im_end|>\n\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    );
    let closed = template(CHATML).render(&dialogue()[..1], false).unwrap();
    assert_eq!(closed, "<|im_start|>system\n Be brief. <|im_end|>\n");
}

#[test]
fn llama_2_folds_the_system_turn_into_the_first_instruction() {
    let text = template(LLAMA2).render(&dialogue(), true).unwrap();
    assert_eq!(
        text,
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi <b>&</b> \"you\" 你好 [/INST] Hello. </s><s>[INST] Bye [/INST]"
    );
}

#[test]
fn a_template_that_rejects_the_conversation_speaks_for_itself() {
    let twice = [Message::user("a"), Message::user("b")];
    let error = template(LLAMA2).render(&twice, true).unwrap_err();
    assert!(
        matches!(&error, Error::ChatRejected { message }
            if message == "Roles must take turns: user, assistant, user, …"),
        "{error}"
    );
    let tool = [Message::new(Role::Tool, "4")];
    let error = template(MISTRAL).render(&tool, true).unwrap_err();
    assert!(error.to_string().ends_with("not tool!"), "{error}");
}

#[test]
fn llama_3_trims_dates_and_prints_tools_as_python_does() {
    let variables = BTreeMap::from([
        ("date_string".to_owned(), "26 Jul 2024".into()),
        (
            "tools".to_owned(),
            serde_json::json!([{"name": "add", "args": ["x", 1.5, null, true, {}, []]}]),
        ),
    ]);
    let text = template(LLAMA3)
        .render_with(&dialogue()[..2], true, &variables)
        .unwrap();
    assert_eq!(
        text,
        "<s><|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul 2024\n\nBe brief.\n\
         {\n    \"name\": \"add\",\n    \"args\": [\n        \"x\",\n        1.5,\n        null,\n        true,\n        {},\n        []\n    ]\n}\
         <|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi <b>&</b> \"you\" 你好<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n"
    );
    let today = template(LLAMA3).render(&dialogue(), true).unwrap();
    let date = today
        .split("Today: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let year: u32 = date.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(year >= 2024, "{date}");
}

#[test]
fn mistral_with_namespace_loop_filter_and_generation_marks() {
    let text = template(MISTRAL).render(&dialogue(), false).unwrap();
    assert_eq!(
        text,
        "<s>[INST]Hi <b>&</b> \"you\" 你好[/INST]Hello.</s>[INST]Bye[/INST]"
    );
}

#[test]
fn tojson_prints_like_python() {
    let x = || serde_json::json!({"b": "é<&>'\"", "a": [1, 2.0, false, null]});
    for (source, expected) in [
        (
            "{{ x | tojson }}",
            r#"{"b": "é<&>'\"", "a": [1, 2.0, false, null]}"#,
        ),
        (
            "{{ x | tojson(sort_keys=true) }}",
            r#"{"a": [1, 2.0, false, null], "b": "é<&>'\""}"#,
        ),
        ("{{ x.b | tojson(ensure_ascii=true) }}", r#""\u00e9<&>'\"""#),
        (
            "{{ x.a | tojson(separators=[',', ':']) }}",
            "[1,2.0,false,null]",
        ),
        ("{{ x.a[:1] | tojson(indent=2) }}", "[\n  1\n]"),
        (
            "{{ '🙂' | tojson(ensure_ascii=true) }}",
            r#""\ud83d\ude42""#,
        ),
    ] {
        assert_eq!(expression(source, x()).unwrap(), expected, "{source}");
    }
    for source in [
        "{{ x | tojson(indent=1000000000) }}",
        "{{ x | tojson(separators=[',']) }}",
        "{{ x | tojson(colour='red') }}",
    ] {
        let error = expression(source, x()).unwrap_err();
        assert!(
            matches!(error, Error::ChatTemplate { .. }),
            "{source}: {error}"
        );
    }
}

#[test]
fn pythons_methods_and_loop_controls_work() {
    let x = || serde_json::json!({"text": "  a</think>b  ", "list": [3, 1, 2], "none": null});
    for (source, expected) in [
        ("{{ x.text.split('</think>')[-1].strip() }}", "b"),
        ("{{ x.text.strip().startswith('a') }}", "True"),
        ("{{ x.text.upper().lstrip().rstrip() }}", "A</THINK>B"),
        ("{{ x.text.replace('a', 'c').strip() }}", "c</think>b"),
        ("{{ x.get('absent', 'no') }}", "no"),
        (
            "{% for k, v in x.items() %}{{ k }} {% endfor %}",
            "text list none ",
        ),
        ("{{ x.none }}{{ x.none is none }}", "NoneTrue"),
        ("{{ x.absent }}{{ x.absent is defined }}", "False"),
        (
            "{% for i in x.list %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
            "32",
        ),
        (
            "{% for i in x.list %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            "3",
        ),
        ("{{ x.list[::-1] | join(',') }}", "2,1,3"),
        ("{{ x.list | sort | last }}", "3"),
        ("{{ x.list | length }}", "3"),
        (
            "{% macro twice(s) %}{{ s }}{{ s }}{% endmacro %}{{ twice('ab') }}",
            "abab",
        ),
        (
            "{% set y = 'in' %}{% if true %}{% set y = 'out' %}{% endif %}{{ y }}",
            "out",
        ),
    ] {
        assert_eq!(expression(source, x()).unwrap(), expected, "{source}");
    }
}

#[test]
fn generation_marks_keep_their_whitespace_control_and_lines() {
    assert_eq!(
        without_generation_marks("a\n{%- generation -%}\nb{% endgeneration +%}{% if x %}{% raw"),
        "a\n{%- if true -%}\nb{% endif +%}{% if x %}{% raw"
    );
}

#[test]
fn mistakes_in_a_template_name_file_and_line() {
    let compile = |source| ChatTemplate::compile("m/t.jinja", source, BTreeMap::new());
    let error = compile("ok\n{% for x in %}").unwrap_err();
    assert!(
        matches!(&error, Error::ChatTemplate { line: Some(2), path, .. } if path.ends_with("t.jinja")),
        "{error}"
    );
    for source in [
        "{{ messages[0].content.explode() }}",
        "\n{{ absent.field }}",
        "{{ unknown_function() }}",
        "{% include '/etc/passwd' %}",
        "{{ strftime_now('%') }}",
        "{{ 1 // 0 }}",
    ] {
        let template = compile(source).unwrap();
        let error = template.render(&dialogue(), true).unwrap_err();
        assert!(
            matches!(error, Error::ChatTemplate { .. }),
            "{source}: {error}"
        );
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn templates_that_never_end_run_out_of_fuel() {
    for source in [
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
        "{{ 'x' * 99999999999 }}",
    ] {
        let error = template(source).render(&[], true).unwrap_err();
        assert!(
            matches!(error, Error::ChatTemplate { .. }),
            "{source}: {error}"
        );
    }
}

#[test]
fn a_folder_gives_its_template_the_special_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let open = || ModelFolder::open(directory.path()).unwrap();
    assert!(ChatTemplate::load(&open()).unwrap().is_none());
    std::fs::write(
        directory.path().join("tokenizer_config.json"),
        r#"{"bos_token": {"content": "<b>"}, "eos_token": "<e>",
            "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"}"#,
    )
    .unwrap();
    let template = ChatTemplate::load(&open()).unwrap().unwrap();
    assert_eq!(
        template.render(&[Message::user("x")], true).unwrap(),
        "<b>x<e>"
    );
}
