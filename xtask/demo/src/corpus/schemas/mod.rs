//! Owns the story schemas: what can happen in a story, as data. A schema has facts that belong
//! together (rows), beats that tell them in order, and questions that can be asked afterwards.

mod growing;
mod making;
mod people;
mod things;
mod wonders;

use super::words;

/// Facts that belong together, as (slot, template) pairs. A fact named `only` restricts the row to
/// stories about a `child` or an `animal`.
pub(crate) type Row = &'static [(&'static str, &'static str)];

/// One kind of story.
pub(crate) struct Schema {
    /// Ways to finish "a story about …".
    pub(crate) about: &'static [&'static str],
    /// The things it can be about; empty where a row sets `o`.
    pub(crate) things: &'static [&'static str],
    /// Whether the thing has a color, told with `{co}`.
    pub(crate) colored: bool,
    /// Groups of rows; one row of each group holds in a story.
    pub(crate) facts: &'static [&'static [Row]],
    /// The story after its opening, beat by beat.
    pub(crate) beats: &'static [&'static str],
    /// Questions about the finished story, with their answers.
    pub(crate) asks: &'static [(&'static str, &'static str)],
}

/// All schemas.
pub(crate) static SCHEMAS: &[&Schema] = &[
    &things::LOST,
    &things::SHARING,
    &things::WIND,
    &things::HONESTY,
    &things::GIFT,
    &things::MARKET,
    &people::FRIEND,
    &people::HELPING,
    &people::SICK,
    &people::GRUMPY,
    &people::RACE,
    &growing::PET,
    &growing::BRAVE,
    &growing::SKILL,
    &making::BAKING,
    &making::BUILDING,
    &making::GARDEN,
    &making::TIDY,
    &wonders::NIGHT,
    &wonders::MAP,
    &wonders::RAIN,
    &wonders::STAR,
];
