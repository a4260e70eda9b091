//! Owns the messages of gpt-oss: headers that name channels and tools, and bodies.

use super::Event;
use super::calls::{self, Call};
use super::engine::{Engine, Step};
use super::marks::{LONGEST_HEADER, MESSAGE, MESSAGE_ENDS, held_back};
use super::state::{Body, State};

impl Engine {
    pub(super) fn header(&mut self, end: bool) -> Step {
        let place = self
            .buffer
            .find(MESSAGE)
            .filter(|&place| place <= LONGEST_HEADER);
        let Some(place) = place else {
            // Whatever this is, it is not a header.
            if end || self.buffer.len() > LONGEST_HEADER + MESSAGE.len() {
                // Nor is a mark at its beginning one.
                self.state = State::Body {
                    body: Body::Answer,
                    searched: self.buffer.chars().next().map_or(0, char::len_utf8),
                };
                return Step::Again;
            }
            return Step::Wait;
        };
        let length = place + MESSAGE.len();
        let body = Body::of(&self.buffer[..place], length);
        let searched = if let Body::Call { header, .. } = &body {
            *header
        } else {
            self.take(length);
            0
        };
        self.state = State::Body { body, searched };
        Step::Again
    }

    pub(super) fn body(
        &mut self,
        body: &Body,
        searched: usize,
        end: bool,
        events: &mut Vec<Event>,
    ) -> Step {
        let found = MESSAGE_ENDS
            .iter()
            .filter_map(|mark| Some((searched + self.buffer[searched..].find(mark)?, *mark)))
            .min();
        let sure = match found {
            Some((place, _)) => place,
            None if end => self.buffer.len(),
            None => self.buffer.len() - held_back(&self.buffer, MESSAGE_ENDS),
        };
        match body {
            Body::Answer => self.emit_text(sure, events),
            Body::Reasoning => {
                let text = self.take(sure);
                if !text.is_empty() {
                    events.push(Event::Reasoning(text));
                }
            }
            Body::Call { tool, header } => {
                if found.is_none() && !end {
                    self.state = State::Body {
                        body: body.clone(),
                        searched: sure.max(searched),
                    };
                    return Step::Wait;
                }
                let call = calls::arguments(&self.buffer[*header..sure]);
                let call = call.map(|arguments| {
                    vec![Call {
                        name: tool.clone(),
                        arguments,
                        id: None,
                    }]
                });
                self.conclude(call, sure, events);
            }
        }
        let Some((_, mark)) = found else {
            // A call that has no end yet has been dealt with above.
            self.state = State::Body {
                body: match body {
                    Body::Call { .. } => Body::Answer,
                    other => other.clone(),
                },
                searched: 0,
            };
            return Step::Wait;
        };
        // The channel's name is part of the next header.
        if mark != "<|channel|>" {
            self.take(mark.len());
        }
        self.state = State::Header;
        Step::Again
    }
}
