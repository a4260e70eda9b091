//! Owns reading the equation of a summation, and checking it against the operands' shapes.

use crate::{Error, Result, Shape};

/// A letter, or one of the axes that an ellipsis stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// An axis of an ellipsis, counted from its last.
    Ellipsis(usize),
    /// An axis with a name.
    Letter(char),
}

/// A checked equation.
#[derive(Debug)]
pub(super) struct Equation {
    /// As it was written, without spaces, and with the result's labels.
    pub(super) text: String,
    /// The labels of each operand's axes.
    pub(super) inputs: Vec<Vec<Label>>,
    /// The labels of the result's axes.
    pub(super) output: Vec<Label>,
    sizes: Vec<(Label, usize)>,
}

fn fail<T>(reason: String) -> Result<T> {
    Err(Error::Argument { op: super::OP, reason })
}

/// One side of a comma: letters before and after an ellipsis, if there is one.
struct Term {
    before: Vec<Label>,
    after: Option<Vec<Label>>,
}

impl Term {
    fn parse(text: &str) -> Result<Self> {
        let letters = |text: &str| -> Result<Vec<Label>> {
            let label = |letter: char| {
                if letter.is_ascii_alphabetic() {
                    Ok(Label::Letter(letter))
                } else {
                    fail(format!("`{letter}` in `{text}` is no letter"))
                }
            };
            text.chars().map(label).collect()
        };
        Ok(match text.split_once("...") {
            Some((before, after)) => {
                Term { before: letters(before)?, after: Some(letters(after)?) }
            }
            None => Term { before: letters(text)?, after: None },
        })
    }

    /// The labels, with `count` axes for the ellipsis.
    fn labels(&self, count: usize) -> Vec<Label> {
        let Some(after) = &self.after else { return self.before.clone() };
        let ellipsis = (0..count).rev().map(Label::Ellipsis);
        self.before.iter().copied().chain(ellipsis).chain(after.iter().copied()).collect()
    }
}

impl Equation {
    /// Reads an equation for operands of the given shapes.
    pub(super) fn parse(subscripts: &str, shapes: &[&Shape]) -> Result<Self> {
        let text: String = subscripts.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (&text[..], None),
        };
        let terms: Vec<Term> = left.split(',').map(Term::parse).collect::<Result<_>>()?;
        if terms.len() != shapes.len() {
            let (named, given) = (terms.len(), shapes.len());
            return fail(format!("`{text}` names {named} operands, but {given} were given"));
        }
        let mut inputs = Vec::new();
        for (term, shape) in terms.iter().zip(shapes) {
            let named = term.before.len() + term.after.as_ref().map_or(0, Vec::len);
            let rank = shape.rank();
            if named > rank || (term.after.is_none() && named < rank) {
                return fail(format!("`{text}` has {named} labels for an operand of shape {shape}"));
            }
            inputs.push(term.labels(rank - named));
        }
        let mut sizes: Vec<(Label, usize)> = Vec::new();
        for (labels, shape) in inputs.iter().zip(shapes) {
            for (at, (&label, &size)) in labels.iter().zip(shape.iter()).enumerate() {
                let twin = labels[..at].iter().position(|other| *other == label);
                match sizes.iter_mut().find(|(known, _)| *known == label) {
                    None => sizes.push((label, size)),
                    // A diagonal needs equal sizes; between operands, one broadcasts.
                    Some((_, known)) => match twin.map_or(*known, |twin| shape[twin]) {
                        other if other == size => {}
                        other if twin.is_none() && other == 1 => *known = size,
                        _ if twin.is_none() && size == 1 => {}
                        other => {
                            let name = match label {
                                Label::Letter(letter) => letter.to_string(),
                                Label::Ellipsis(_) => "...".to_owned(),
                            };
                            return fail(format!("`{name}` in `{text}` has sizes {other} and {size}"));
                        }
                    },
                }
            }
        }
        let mut equation = Equation { text: text.clone(), inputs, output: Vec::new(), sizes };
        let widest = equation.sizes.iter().filter(|(l, _)| matches!(l, Label::Ellipsis(_))).count();
        if let Some(right) = right {
            let term = Term::parse(right)?;
            equation.output = term.labels(widest);
            equation.check_output(widest, term.after.is_some())?;
        } else {
            equation.output = (0..widest).rev().map(Label::Ellipsis).collect();
            let mut once = equation.letters_that_occur_once();
            once.sort_unstable();
            let dots = if widest > 0 { "..." } else { "" };
            let letter = |label: &Label| match label {
                Label::Letter(letter) => Some(*letter),
                Label::Ellipsis(_) => None,
            };
            let letters: String = once.iter().filter_map(letter).collect();
            equation.text = format!("{}->{dots}{letters}", equation.text);
            equation.output.extend(once);
        }
        Ok(equation)
    }

    fn letters_that_occur_once(&self) -> Vec<Label> {
        let all: Vec<Label> = self.inputs.concat();
        let once = |label: &&Label| all.iter().filter(|other| other == label).count() == 1;
        let letters = all.iter().filter(|label| matches!(label, Label::Letter(_)));
        letters.filter(once).copied().collect()
    }

    fn check_output(&self, ellipsis: usize, named: bool) -> Result<()> {
        let text = &self.text;
        for (i, label) in self.output.iter().enumerate() {
            if let Label::Letter(letter) = label {
                if self.output[..i].contains(label) {
                    return fail(format!("the result of `{text}` repeats `{letter}`"));
                }
                if !self.sizes.iter().any(|(known, _)| known == label) {
                    return fail(format!("the result of `{text}` has `{letter}`, but no operand has"));
                }
            }
        }
        if ellipsis > 0 && !named {
            return fail(format!("the result of `{text}` has no `...`, but the operands have"));
        }
        Ok(())
    }

    /// The size of a label's axes, those that broadcast aside.
    pub(super) fn size(&self, label: Label) -> usize {
        let found = self.sizes.iter().find(|(known, _)| *known == label);
        found.expect("every label of an equation has a size").1
    }

    /// The number of labels.
    pub(super) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// True if anything is summed over.
    pub(super) fn sums(&self) -> bool {
        self.output.len() < self.sizes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, shapes: &[&[usize]]) -> Result<Equation> {
        let shapes: Vec<Shape> = shapes.iter().map(|&shape| Shape::from(shape)).collect();
        Equation::parse(text, &shapes.iter().collect::<Vec<_>>())
    }

    #[test]
    fn labels_that_occur_once_are_kept_in_alphabetical_order() {
        let equation = parse("ba,aC", &[&[2, 3], &[3, 4]]).expect("it is well formed");
        assert_eq!(equation.output, [Label::Letter('C'), Label::Letter('b')]);
        assert_eq!(equation.text, "ba,aC->Cb");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (text, shapes) in [
            ("ij", &[&[2usize][..]][..]),
            ("ij,jk", &[&[2, 3]]),
            ("i1", &[&[2, 3]]),
            ("ij->ik", &[&[2, 3]]),
            ("ij->ii", &[&[2, 3]]),
            ("ii", &[&[2, 3]]),
            ("ii", &[&[1, 3]]),
            ("ij,jk", &[&[2, 3], &[4, 2]]),
            ("...i->i", &[&[2, 3]]),
            ("..i", &[&[2, 3]]),
            ("......", &[&[2, 3]]),
            ("i->j->k", &[&[2]]),
            ("ij-k", &[&[2, 3]]),
            ("...,...", &[&[2], &[3]]),
        ] {
            assert!(matches!(parse(text, shapes), Err(Error::Argument { .. })), "{text}");
        }
    }

    #[test]
    fn an_ellipsis_may_stand_for_nothing() {
        let equation = parse("...i,i->...", &[&[2], &[2]]).expect("it is well formed");
        assert!(equation.output.is_empty() && equation.sums());
    }
}
