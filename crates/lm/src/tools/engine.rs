//! Owns the state machine over a growing buffer: where marks begin and end, and what is held back.

use std::collections::HashMap;

use super::calls::{self, Call};
use super::marks::{
    ARGUMENTS, Block, CALLS, LONGEST_HEADER, MOST_ENDS, REASONING, blocks, held_back,
};
use super::state::{Scan, State};
use super::{Event, OutputFormat};

/// What the engine does after a step.
pub(super) enum Step {
    /// Nothing can be said before more arrives.
    Wait,
    Again,
}

#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub(super) format: OutputFormat,
    pub(super) buffer: String,
    pub(super) state: State,
    /// The types of arguments by the names of tool and argument.
    pub(super) types: HashMap<(String, String), String>,
}

impl Engine {
    pub(super) fn new(format: OutputFormat) -> Self {
        Self {
            format,
            buffer: String::new(),
            state: State::after(format, ""),
            types: HashMap::new(),
        }
    }

    pub(super) fn run(&mut self, end: bool) -> Vec<Event> {
        let mut events = Vec::new();
        while let Step::Again = self.step(end, &mut events) {}
        events
    }

    fn step(&mut self, end: bool, events: &mut Vec<Event>) -> Step {
        if self.buffer.is_empty() {
            return Step::Wait;
        }
        match self.state.clone() {
            State::Start { drop_space } => self.start(drop_space, end),
            State::Reasoning { close, begun } => self.reasoning(close, begun, end, events),
            State::Text { after_call } => self.text(after_call, end, events),
            State::Call {
                block: Block::Between(_, close),
                mark,
                searched,
                tries,
                ..
            } => self.between(close, (mark, searched, tries), end, events),
            State::Call {
                block: Block::Mistral,
                mark,
                json,
                ..
            } => self.mistral(mark, json, end, events),
            State::Call {
                block: Block::MoreJson,
                json,
                ..
            } => self.more_json(json, end, events),
            State::Call { mark, json, .. } => self.json(mark, json, end, events),
            State::Header => self.header(end),
            State::Body { body, searched } => self.body(&body, searched, end, events),
        }
    }

    /// Removes and returns the beginning of the buffer.
    pub(super) fn take(&mut self, length: usize) -> String {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    pub(super) fn emit_text(&mut self, length: usize, events: &mut Vec<Event>) {
        let text = self.take(length);
        if !text.is_empty() {
            events.push(Event::Text(text));
        }
    }

    fn enter(&mut self, block: Block, mark: usize) {
        self.state = State::Call {
            block,
            mark,
            searched: mark,
            tries: 0,
            json: Scan::default(),
        };
    }

    fn start(&mut self, drop_space: bool, end: bool) -> Step {
        let rest = self.buffer.trim_start();
        let space = self.buffer.len() - rest.len();
        if rest.is_empty() {
            if drop_space {
                self.buffer.clear();
            } else if end {
                self.state = State::Text { after_call: false };
                return Step::Again;
            }
            return Step::Wait;
        }
        for (open, close) in REASONING {
            if rest.starts_with(open) {
                self.take(space + open.len());
                self.state = State::Reasoning {
                    close,
                    begun: false,
                };
                return Step::Again;
            }
            if open.starts_with(rest) && !end {
                return Step::Wait;
            }
        }
        let bare = matches!(self.format, OutputFormat::Hermes | OutputFormat::Llama);
        if drop_space {
            self.take(space);
        }
        if bare && self.buffer.trim_start().starts_with(['{', '[']) {
            self.enter(Block::Json(""), 0);
        } else {
            self.state = State::Text { after_call: false };
        }
        Step::Again
    }

    fn reasoning(
        &mut self,
        close: &'static str,
        begun: bool,
        end: bool,
        events: &mut Vec<Event>,
    ) -> Step {
        if !begun {
            let space = self.buffer.len() - self.buffer.trim_start().len();
            self.take(space);
            if self.buffer.is_empty() {
                return Step::Wait;
            }
            self.state = State::Reasoning { close, begun: true };
        }
        let found = self.buffer.find(close);
        let sure = match found {
            Some(place) => place,
            None if end => self.buffer.len(),
            None => self.buffer.len() - held_back(&self.buffer, [close]),
        };
        // White space before the end does not belong to the reasoning.
        let length = self.buffer[..sure].trim_end().len();
        if length > 0 {
            let text = self.take(length);
            events.push(Event::Reasoning(text));
        }
        if found.is_some() {
            self.take(sure - length + close.len());
            self.state = State::Start { drop_space: true };
            return Step::Again;
        }
        if end {
            self.buffer.clear();
        }
        Step::Wait
    }

    fn text(&mut self, after_call: bool, end: bool, events: &mut Vec<Event>) -> Step {
        let blocks = blocks(self.format);
        let found = blocks
            .iter()
            .filter_map(|&block| Some((self.buffer.find(block.open())?, block)))
            // Of two marks at one place the longer is meant.
            .min_by_key(|&(place, block)| (place, usize::MAX - block.open().len()));
        let opens = blocks.iter().map(|block| block.open());
        let sure = match found {
            Some((place, _)) => place,
            None if end => self.buffer.len(),
            None => self.buffer.len() - held_back(&self.buffer, opens),
        };
        let only_space = self.buffer[..sure].trim_start().is_empty();
        if after_call && only_space {
            if found.is_none() && !end {
                return Step::Wait;
            }
            self.take(sure);
        } else {
            self.emit_text(sure, events);
            self.state = State::Text { after_call: false };
        }
        match found {
            Some((_, Block::Nothing(mark))) => {
                self.take(mark.len());
                self.state = State::Text { after_call: true };
                Step::Again
            }
            Some((_, block)) => {
                self.enter(block, block.open().len());
                Step::Again
            }
            None => Step::Wait,
        }
    }

    /// The buffer up to `length` was a call, or is text if it was none.
    pub(super) fn conclude(
        &mut self,
        calls: Option<Vec<Call>>,
        length: usize,
        events: &mut Vec<Event>,
    ) -> Step {
        if let Some(calls) = calls {
            self.take(length);
            events.extend(calls.into_iter().map(Event::from));
            self.state = State::Text { after_call: true };
        } else {
            self.emit_text(length, events);
            self.state = State::Text { after_call: false };
        }
        Step::Again
    }

    fn between(
        &mut self,
        close: &'static str,
        (mark, searched, tries): (usize, usize, usize),
        end: bool,
        events: &mut Vec<Event>,
    ) -> Step {
        let State::Call { block, .. } = self.state else {
            return Step::Wait;
        };
        let parse = |body: &str| calls::between(block.open(), body, &self.types);
        let Some(place) = self.buffer[searched..]
            .find(close)
            .map(|place| searched + place)
        else {
            if end {
                let length = self.buffer.len();
                let found = parse(&self.buffer[mark..]);
                return self.conclude(found, length, events);
            }
            // The mark may have begun already.
            let mut next = self.buffer.len().saturating_sub(close.len()).max(searched);
            while !self.buffer.is_char_boundary(next) {
                next -= 1;
            }
            self.searched(next, tries);
            return Step::Wait;
        };
        let after = place + close.len();
        let found = parse(&self.buffer[mark..place]);
        if found.is_none() && tries < MOST_ENDS && calls::unfinished(&self.buffer[mark..place]) {
            self.searched(after, tries + 1);
            return Step::Again;
        }
        self.conclude(found, after, events)
    }

    fn searched(&mut self, place: usize, count: usize) {
        if let State::Call {
            searched, tries, ..
        } = &mut self.state
        {
            *searched = place;
            *tries = count;
        }
    }

    /// Waits for the end of JSON, or at the end makes text of everything.
    fn wait_for(&mut self, scan: Scan, end: bool, events: &mut Vec<Event>) -> Step {
        if end {
            let length = self.buffer.len();
            return self.conclude(None, length, events);
        }
        if let State::Call { json, .. } = &mut self.state {
            *json = scan;
        }
        Step::Wait
    }

    /// `mark` is 0 after a first call: further ones need no mark.
    fn mistral(&mut self, mark: usize, scan: Scan, end: bool, events: &mut Vec<Event>) -> Step {
        let mut scan = scan;
        let body = self.buffer[mark..].trim_start();
        let start = self.buffer.len() - body.len();
        if mark == 0 && (CALLS.starts_with(body) || body.starts_with(CALLS)) {
            if body.len() < CALLS.len() && !end {
                return Step::Wait;
            }
            self.state = State::Text { after_call: true };
            return Step::Again;
        }
        if body.is_empty() {
            return self.wait_for(scan, end, events);
        }
        if body.starts_with('[') && mark > 0 {
            let Some(after) = scan.end(&self.buffer, start) else {
                return self.wait_for(scan, end, events);
            };
            let found = calls::json(&self.buffer[start..after], false);
            return self.conclude(found, after, events);
        }
        // A name, perhaps an id, and the mark.
        let in_header = |c: char| c.is_alphanumeric() || "_-.[]".contains(c);
        let place = body
            .find(ARGUMENTS)
            .filter(|&place| place <= LONGEST_HEADER);
        if !body[..place.unwrap_or(body.len())].chars().all(in_header) {
            return self.conclude(None, mark, events);
        }
        let Some(place) = place else {
            if end || body.len() > LONGEST_HEADER + ARGUMENTS.len() {
                return self.conclude(None, mark, events);
            }
            return Step::Wait;
        };
        let (name, id) = match body[..place].split_once("[CALL_ID]") {
            Some((name, id)) => (name, Some(id.to_owned())),
            None => (&body[..place], None),
        };
        let name = name.to_owned();
        let value = start + place + ARGUMENTS.len();
        let value = self.buffer.len() - self.buffer[value..].trim_start().len();
        let opens = self.buffer[value..].starts_with('{');
        if name.is_empty() || (!opens && value < self.buffer.len()) {
            return self.conclude(None, value, events);
        }
        let Some(after) = scan.end(&self.buffer, value) else {
            return self.wait_for(scan, end, events);
        };
        let call = calls::arguments(&self.buffer[value..after]).map(|arguments| {
            vec![Call {
                name,
                arguments,
                id,
            }]
        });
        let good = call.is_some();
        self.conclude(call, after, events);
        if good {
            self.enter(Block::Mistral, 0);
        }
        Step::Again
    }

    /// JSON after a mark, or without one (`mark` is 0) at the beginning.
    fn json(&mut self, mark: usize, scan: Scan, end: bool, events: &mut Vec<Event>) -> Step {
        let mut scan = scan;
        let body = self.buffer[mark..].trim_start();
        let start = self.buffer.len() - body.len();
        if body.is_empty() {
            return self.wait_for(scan, end, events);
        }
        if !calls::may_be_call(body) {
            return self.conclude(None, mark, events);
        }
        let Some(after) = scan.end(&self.buffer, start) else {
            return self.wait_for(scan, end, events);
        };
        let found = calls::json(&self.buffer[start..after], true);
        let good = found.is_some();
        self.conclude(found, after, events);
        if good {
            self.enter(Block::MoreJson, 0);
        }
        Step::Again
    }

    /// Further calls, after white space or a semicolon.
    fn more_json(&mut self, scan: Scan, end: bool, events: &mut Vec<Event>) -> Step {
        let rest = self.buffer.trim_start();
        let rest = rest.strip_prefix(';').unwrap_or(rest).trim_start();
        let separator = self.buffer.len() - rest.len();
        if rest.is_empty() && !end {
            return Step::Wait;
        }
        if rest.starts_with(['{', '[']) && calls::may_be_call(rest) {
            return self.json(separator, scan, end, events);
        }
        self.state = State::Text { after_call: true };
        Step::Again
    }
}
