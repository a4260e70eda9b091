//! Owns the tables in a page of prose: what stands between two marks is written anew.

use std::{fs, path::Path};

use crate::table::Table;

/// Writes each table between the marks of its name: `<!-- begin name -->` and `<!-- end name -->`.
pub(crate) fn write(page: &Path, tables: &[(&str, Table)]) -> Result<(), String> {
    let fail = |error| format!("{}: {error}", page.display());
    let mut text = fs::read_to_string(page).map_err(|error| fail(error.to_string()))?;
    for (name, table) in tables {
        text = replaced(&text, name, &table.markdown()).map_err(fail)?;
    }
    fs::write(page, text).map_err(|error| fail(error.to_string()))
}

/// The text with what stands between the marks of a name replaced.
fn replaced(text: &str, name: &str, part: &str) -> Result<String, String> {
    let (begin, end) = (
        format!("<!-- begin {name} -->"),
        format!("<!-- end {name} -->"),
    );
    let missing = |mark: &str| format!("the line `{mark}` is missing");
    let (before, rest) = text.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    // Without an empty line, the comment would swallow the table.
    Ok(format!("{before}{begin}\n\n{part}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "Before.\n<!-- begin a -->\nold\n<!-- end a -->\nBetween.\n\
                        <!-- begin b -->\n<!-- end b -->\nAfter.\n";

    #[test]
    fn only_what_stands_between_the_marks_of_the_name_changes_and_twice_is_once() {
        let once = replaced(PAGE, "a", "new\n").unwrap();
        let wanted = "Before.\n<!-- begin a -->\n\nnew\n\n<!-- end a -->\nBetween.\n\
                      <!-- begin b -->\n<!-- end b -->\nAfter.\n";
        assert_eq!(once, wanted);
        assert_eq!(replaced(&once, "a", "new\n").unwrap(), once);
    }

    #[test]
    fn a_page_without_the_marks_is_an_error_that_names_them() {
        assert_eq!(
            replaced(PAGE, "c", "new\n").unwrap_err(),
            "the line `<!-- begin c -->` is missing"
        );
        let cut = PAGE.split_once("<!-- end b").unwrap().0;
        assert_eq!(
            replaced(cut, "b", "new\n").unwrap_err(),
            "the line `<!-- end b -->` is missing"
        );
    }

    #[test]
    fn the_page_of_this_repository_has_every_mark() {
        let page = include_str!("../../../docs/performance.md");
        for name in ["machine", "ratios", "scaling"] {
            replaced(page, name, "").unwrap();
        }
    }
}
