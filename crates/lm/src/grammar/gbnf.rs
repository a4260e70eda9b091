//! Owns the translation of llama.cpp's GBNF grammars into the Lark syntax that llguidance reads.
//!
//! GBNF knows no lexer, llguidance has one. So what is not recursive becomes terminals, as long as they
//! come, in which regular expressions match exactly; only recursion is left to the parser. The format
//! is that of <https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::CharIndices;

/// A translated grammar.
pub(super) struct Lark {
    pub(super) text: String,
    /// Whether it names control tokens, which only a tokenizer knows.
    pub(super) names_tokens: bool,
}

/// Parentheses may be this deep, so that recursion here ends.
const DEPTH: usize = 100;

#[derive(Debug, Clone)]
enum Expr {
    Literal(String),
    /// A regular expression for one character.
    Class(String),
    Rule(String),
    /// A control token, in angle brackets.
    Token(String),
    Seq(Vec<Expr>),
    Alt(Vec<Expr>),
    Repeat(Box<Expr>, u32, Option<u32>),
}

pub(super) fn to_lark(text: &str) -> Result<Lark, String> {
    let rules = Parser::new(text).rules()?;
    let mut numbers = HashMap::new();
    for (number, (name, _)) in rules.iter().enumerate() {
        if numbers.insert(name.as_str(), number).is_some() {
            return Err(format!("rule `{name}` is defined twice"));
        }
    }
    let Some(&root) = numbers.get("root") else {
        return Err("there is no rule `root`".to_owned());
    };
    let mut needs: Vec<Vec<usize>> = Vec::new();
    let mut tokens = vec![false; rules.len()];
    for (number, (_, body)) in rules.iter().enumerate() {
        let mut names = Vec::new();
        body.visit(&mut |expr| match expr {
            Expr::Rule(name) => names.push(name.clone()),
            Expr::Token(_) => tokens[number] = true,
            _ => {}
        });
        let find = |name: String| {
            let number = numbers.get(name.as_str()).copied();
            number.ok_or_else(|| format!("rule `{name}` is not defined"))
        };
        needs.push(names.into_iter().map(find).collect::<Result<_, _>>()?);
    }
    let names_tokens = tokens.contains(&true);
    let writer = Writer {
        regular: regular(&needs, &tokens),
        nullable: nullable(&rules, &numbers),
        numbers,
        out: String::new(),
        runs: 0,
    };
    Ok(Lark {
        text: writer.write(&rules, root),
        names_tokens,
    })
}

/// Which rules are regular expressions: those that reach neither themselves nor control tokens.
fn regular(needs: &[Vec<usize>], tokens: &[bool]) -> Vec<bool> {
    let mut regular = vec![false; needs.len()];
    loop {
        let mut changed = false;
        for number in 0..needs.len() {
            let is = !tokens[number] && needs[number].iter().all(|&need| regular[need]);
            changed |= is != regular[number];
            regular[number] = is;
        }
        if !changed {
            return regular;
        }
    }
}

/// Which rules may be empty.
fn nullable(rules: &[(String, Expr)], numbers: &HashMap<&str, usize>) -> Vec<bool> {
    let mut nullable = vec![false; rules.len()];
    loop {
        let mut changed = false;
        for (number, (_, body)) in rules.iter().enumerate() {
            let is = body.nullable(&|name| nullable[numbers[name]]);
            changed |= is != nullable[number];
            nullable[number] = is;
        }
        if !changed {
            return nullable;
        }
    }
}

impl Expr {
    fn visit(&self, see: &mut impl FnMut(&Expr)) {
        see(self);
        match self {
            Self::Seq(parts) | Self::Alt(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Repeat(part, ..) => part.visit(see),
            Self::Literal(_) | Self::Class(_) | Self::Rule(_) | Self::Token(_) => {}
        }
    }

    fn nullable(&self, rule: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Literal(text) => text.is_empty(),
            Self::Class(_) | Self::Token(_) => false,
            Self::Rule(name) => rule(name),
            Self::Seq(parts) => parts.iter().all(|part| part.nullable(rule)),
            Self::Alt(parts) => parts.iter().any(|part| part.nullable(rule)),
            Self::Repeat(part, least, _) => *least == 0 || part.nullable(rule),
        }
    }
}

struct Writer<'a> {
    regular: Vec<bool>,
    nullable: Vec<bool>,
    numbers: HashMap<&'a str, usize>,
    out: String,
    runs: usize,
}

impl Writer<'_> {
    fn write(mut self, rules: &[(String, Expr)], root: usize) -> String {
        let start = self.rule(&Expr::Rule("root".to_owned()));
        let mut start = format!("start: {start}\n");
        for (number, (_, body)) in rules.iter().enumerate() {
            if self.regular[number] {
                let body = self.terminal(body);
                writeln!(self.out, "T{number}: {body}").expect("writing to a string");
            } else {
                let body = self.rule(body);
                writeln!(self.out, "r{number}: {body}").expect("writing to a string");
            }
        }
        debug_assert!(root < rules.len());
        start.push_str(&self.out);
        start
    }

    fn is_regular(&self, expr: &Expr) -> bool {
        let mut is = true;
        expr.visit(&mut |part| match part {
            Expr::Rule(name) => is &= self.regular[self.numbers[name.as_str()]],
            Expr::Token(_) => is = false,
            _ => {}
        });
        is
    }

    /// A terminal of its own for a regular part; as terminals are never empty, it becomes optional.
    fn run(&mut self, expr: &Expr) -> String {
        let body = self.terminal(expr);
        let nullable = expr.nullable(&|name| self.nullable[self.numbers[name]]);
        let number = self.runs;
        self.runs += 1;
        if nullable {
            writeln!(self.out, "N{number}: ({body}) & /(.|\\n)+/").expect("writing to a string");
            format!("N{number}?")
        } else {
            writeln!(self.out, "N{number}: {body}").expect("writing to a string");
            format!("N{number}")
        }
    }

    /// A part of a rule of the parser's.
    fn rule(&mut self, expr: &Expr) -> String {
        if self.is_regular(expr) {
            return self.run(expr);
        }
        match expr {
            Expr::Seq(parts) => {
                let mut written = Vec::new();
                let mut rest = parts.as_slice();
                while let Some(first) = rest.first() {
                    let length = rest.iter().take_while(|part| self.is_regular(part)).count();
                    if length == 0 {
                        written.push(self.rule(first));
                        rest = &rest[1..];
                    } else {
                        written.push(self.run(&Expr::Seq(rest[..length].to_vec())));
                        rest = &rest[length..];
                    }
                }
                written.join(" ")
            }
            Expr::Alt(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.rule(part)).collect();
                format!("({})", parts.join(" | "))
            }
            Expr::Repeat(part, least, most) => {
                format!("({}){}", self.rule(part), times(*least, *most))
            }
            Expr::Rule(name) => format!("r{}", self.numbers[name.as_str()]),
            Expr::Token(name) => name.clone(),
            // These are regular.
            Expr::Literal(_) | Expr::Class(_) => self.terminal(expr),
        }
    }

    /// A part of a terminal.
    fn terminal(&self, expr: &Expr) -> String {
        match expr {
            Expr::Literal(text) => serde_json::Value::from(text.as_str()).to_string(),
            Expr::Class(class) => format!("/{class}/"),
            Expr::Rule(name) => format!("T{}", self.numbers[name.as_str()]),
            Expr::Token(name) => name.clone(),
            Expr::Seq(parts) if parts.is_empty() => "\"\"".to_owned(),
            Expr::Seq(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.terminal(part)).collect();
                parts.join(" ")
            }
            Expr::Alt(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| self.terminal(part)).collect();
                format!("({})", parts.join(" | "))
            }
            Expr::Repeat(part, least, most) => {
                format!("({}){}", self.terminal(part), times(*least, *most))
            }
        }
    }
}

fn times(least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (0, Some(1)) => "?".to_owned(),
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    }
}

struct Parser<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            chars: text.char_indices().peekable(),
        }
    }

    fn fail<T>(&mut self, problem: &str) -> Result<T, String> {
        let place = self
            .chars
            .peek()
            .map_or(self.text.len(), |&(place, _)| place);
        let line = self.text[..place].matches('\n').count() + 1;
        Err(format!("line {line}: {problem}"))
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|&(_, c)| c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.chars.next_if(|&(_, c)| c == wanted).is_some()
    }

    /// Skips white space, line ends and comments.
    fn space(&mut self) {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.chars.next_if(|&(_, c)| c != '\n').is_some() {}
            } else if !c.is_whitespace() {
                return;
            } else {
                self.chars.next();
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        while let Some((_, c)) = self
            .chars
            .next_if(|(_, c)| c.is_ascii_alphanumeric() || "-_".contains(*c))
        {
            name.push(c);
        }
        Some(name).filter(|name| !name.is_empty())
    }

    /// Whether a new rule begins here: a name and `::=`.
    fn at_rule(&mut self) -> bool {
        let mut ahead = Parser {
            text: self.text,
            chars: self.chars.clone(),
        };
        ahead.name().is_some() && {
            ahead.space();
            ahead.eat(':')
        }
    }

    fn rules(&mut self) -> Result<Vec<(String, Expr)>, String> {
        let mut rules = Vec::new();
        loop {
            self.space();
            if self.peek().is_none() {
                return Ok(rules);
            }
            let Some(name) = self.name() else {
                return self.fail("the name of a rule was expected");
            };
            self.space();
            if !(self.eat(':') && self.eat(':') && self.eat('=')) {
                return self.fail("`::=` was expected");
            }
            rules.push((name, self.alternatives(0)?));
            match self.peek() {
                None => {}
                Some(_) if self.at_rule() => {}
                Some(c) => return self.fail(&format!("`{c}` was not expected")),
            }
        }
    }

    fn alternatives(&mut self, depth: usize) -> Result<Expr, String> {
        if depth > DEPTH {
            return self.fail("parentheses are too deep");
        }
        let mut parts = vec![self.sequence(depth)?];
        while self.eat('|') {
            parts.push(self.sequence(depth)?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Expr::Alt(parts),
        })
    }

    fn sequence(&mut self, depth: usize) -> Result<Expr, String> {
        let mut parts = Vec::new();
        loop {
            self.space();
            let part = match self.peek() {
                Some('"') => self.literal()?,
                Some('[') => self.class()?,
                Some('.') => {
                    self.eat('.');
                    Expr::Class("(.|\\n)".to_owned())
                }
                Some('<') => self.token()?,
                Some('!') => return self.fail("negated tokens are not supported"),
                Some('(') => {
                    self.eat('(');
                    let inner = self.alternatives(depth + 1)?;
                    if !self.eat(')') {
                        return self.fail("`)` was expected");
                    }
                    inner
                }
                Some(c) if (c.is_ascii_alphanumeric() || c == '_') && !self.at_rule() => {
                    let Some(name) = self.name() else {
                        return self.fail("the name of a rule was expected");
                    };
                    Expr::Rule(name)
                }
                _ => break,
            };
            let part = self.repeated(part)?;
            parts.push(part);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Expr::Seq(parts),
        })
    }

    fn repeated(&mut self, part: Expr) -> Result<Expr, String> {
        let mut part = part;
        for _ in 0..DEPTH {
            self.space();
            let (least, most) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => {
                    self.eat('{');
                    let (least, most) = self.bounds()?;
                    if self.peek() != Some('}') {
                        return self.fail("`}` was expected");
                    }
                    (least, most)
                }
                _ => return Ok(part),
            };
            self.chars.next();
            part = Expr::Repeat(Box::new(part), least, most);
        }
        self.fail("too many repetitions of one thing")
    }

    fn bounds(&mut self) -> Result<(u32, Option<u32>), String> {
        let least = self.number()?;
        self.space();
        if !self.eat(',') {
            return match least {
                Some(count) => Ok((count, Some(count))),
                None => self.fail("a number was expected"),
            };
        }
        let most = self.number()?;
        let least = least.unwrap_or(0);
        if most.is_some_and(|most| most < least) {
            return self.fail("the greatest count is below the least");
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Result<Option<u32>, String> {
        self.space();
        let mut digits = String::new();
        while let Some((_, c)) = self.chars.next_if(|(_, c)| c.is_ascii_digit()) {
            digits.push(c);
        }
        self.space();
        if digits.is_empty() {
            return Ok(None);
        }
        match digits.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => self.fail("the count is too large"),
        }
    }

    fn literal(&mut self) -> Result<Expr, String> {
        self.eat('"');
        let mut text = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.eat('"');
                    return Ok(Expr::Literal(text));
                }
                None | Some('\n') => return self.fail("the string has no end"),
                Some(_) => text.push(self.character()?),
            }
        }
    }

    fn class(&mut self) -> Result<Expr, String> {
        self.eat('[');
        let mut class = String::from(if self.eat('^') { "[^" } else { "[" });
        let mut empty = true;
        loop {
            match self.peek() {
                Some(']') if empty => return self.fail("the set of characters is empty"),
                Some(']') => {
                    self.eat(']');
                    class.push(']');
                    return Ok(Expr::Class(class));
                }
                None | Some('\n') => return self.fail("the set of characters has no end"),
                Some(_) => {}
            }
            empty = false;
            let first = self.character()?;
            write!(class, "\\x{{{:X}}}", first as u32).expect("writing to a string");
            if self.eat('-') {
                if self.peek() == Some(']') {
                    class.push_str("\\x{2D}");
                    continue;
                }
                let last = self.character()?;
                if last < first {
                    return self.fail("the range of characters is upside down");
                }
                write!(class, "-\\x{{{:X}}}", last as u32).expect("writing to a string");
            }
        }
    }

    fn token(&mut self) -> Result<Expr, String> {
        let mut name = String::new();
        while let Some((_, c)) = self.chars.next_if(|&(_, c)| c != '\n') {
            name.push(c);
            if c == '>' {
                return Ok(Expr::Token(name));
            }
        }
        self.fail("the token has no end")
    }

    fn character(&mut self) -> Result<char, String> {
        let Some((_, c)) = self.chars.next() else {
            return self.fail("a character was expected");
        };
        if c != '\\' {
            return Ok(c);
        }
        let Some((_, c)) = self.chars.next() else {
            return self.fail("a character was expected");
        };
        let digits = match c {
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            '\\' | '"' | '[' | ']' | '-' | '^' | '/' => return Ok(c),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return self.fail(&format!("`\\{c}` means nothing")),
        };
        let mut code = 0;
        for _ in 0..digits {
            match self.chars.next().and_then(|(_, c)| c.to_digit(16)) {
                Some(digit) => code = (code << 4) | digit,
                None => return self.fail("a hexadecimal digit was expected"),
            }
        }
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail("there is no such character"),
        }
    }
}
