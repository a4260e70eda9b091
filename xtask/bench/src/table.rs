//! Owns tables: columns of text for terminals, and Markdown.

/// Rows of as many cells as the head has.
pub(crate) struct Table {
    /// True if all columns but the first are numbers, which stand to the right.
    pub(crate) numbers: bool,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns side by side.
    pub(crate) fn text(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|cells| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.head.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).enumerate();
            let padded: Vec<_> = cells
                .map(|(column, (cell, width))| match column {
                    1.. if self.numbers => format!("{cell:>width$}"),
                    _ => format!("{cell:<width$}"),
                })
                .collect();
            format!("{}\n", padded.join("  ").trim_end())
        };
        lines().map(line).collect()
    }

    /// A table of GitHub's Markdown.
    pub(crate) fn markdown(&self) -> String {
        let rule = (0..self.head.len()).map(|column| match column {
            1.. if self.numbers => "---:".to_owned(),
            _ => "---".to_owned(),
        });
        let rule = rule.collect();
        let line = |cells: &Vec<String>| {
            let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        [&self.head, &rule]
            .into_iter()
            .chain(&self.rows)
            .map(line)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cells = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        Table {
            numbers: true,
            head: cells(["name", "ms"]),
            rows: vec![cells(["a | b", "1.25"]), cells(["2²⁰", ""])],
        }
    }

    #[test]
    fn text_is_aligned_by_characters() {
        assert_eq!(table().text(), "name     ms\na | b  1.25\n2²⁰\n");
    }

    #[test]
    fn bars_in_cells_do_not_end_them() {
        let markdown = "| name | ms |\n| --- | ---: |\n| a \\| b | 1.25 |\n| 2²⁰ |  |\n";
        assert_eq!(table().markdown(), markdown);
    }
}
