//! Owns pictures of lines on logarithmic axes, as SVG that suits light and dark pages.

use std::fmt::Write;

use crate::scaling::power;

/// The picture's size, in pixels.
const SIZE: (f64, f64) = (820.0, 460.0);
/// Free space left, right, above and below the lines, for labels.
const MARGINS: (f64, f64, f64, f64) = (68.0, 168.0, 52.0, 56.0);

/// Colours that people who see few colours tell apart: on light, and on dark ground.
/// By Okabe and Ito, "Color Universal Design", 2008; lightened for dark ground.
const COLORS: [(&str, &str); 6] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8a3c"),
    ("#008a66", "#2fd0a3"),
    ("#b3568c", "#eba6cd"),
    ("#8a6d00", "#f0d35a"),
    ("#4b5563", "#c9d1d9"),
];

/// A line of a picture.
pub(crate) struct Line {
    pub(crate) name: String,
    /// Lines of one colour belong together.
    pub(crate) color: usize,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A picture of lines.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    /// What runs along the axes.
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) lines: Vec<Line>,
    /// A line across the picture: its name and height.
    pub(crate) limit: Option<(&'a str, f64)>,
}

/// Maps values to places in the picture, by their logarithms.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn around(chart: &Chart) -> Frame {
        let span = |values: &mut dyn Iterator<Item = f64>, around: f64| {
            let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
            for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
                (low, high) = (low.min(value), high.max(value));
            }
            if high == 0.0 {
                (low, high) = (1.0, 2.0);
            }
            ((low / around).ln(), (high * around).ln())
        };
        let points = || chart.lines.iter().flat_map(|line| &line.points);
        let limit = chart.limit.map(|(_, limit)| limit);
        Frame {
            x: span(&mut points().map(|point| point.0), 1.1),
            y: span(&mut points().map(|point| point.1).chain(limit), 1.15),
        }
    }

    fn x(&self, value: f64) -> f64 {
        let part = (value.ln() - self.x.0) / (self.x.1 - self.x.0);
        MARGINS.0 + part * (SIZE.0 - MARGINS.0 - MARGINS.1)
    }

    fn y(&self, value: f64) -> f64 {
        let part = (self.y.1 - value.ln()) / (self.y.1 - self.y.0);
        MARGINS.2 + part * (SIZE.1 - MARGINS.2 - MARGINS.3)
    }
}

impl Chart<'_> {
    /// Draws the picture.
    pub(crate) fn svg(&self) -> String {
        let frame = Frame::around(self);
        let (width, height) = SIZE;
        let (left, right) = (MARGINS.0, width - MARGINS.1);
        let (top, bottom) = (MARGINS.2, height - MARGINS.3);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"system-ui, sans-serif\" \
             font-size=\"13\" role=\"img\">\n<title>{0}</title>\n<style>\n{1}</style>\n\
             <rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n\
             <text class=\"text\" x=\"{left}\" y=\"28\" font-size=\"16\" \
             font-weight=\"600\">{0}</text>\n",
            escape(self.title),
            style(),
        );
        for (tick, label) in ticks_2(frame.x) {
            let x = frame.x(tick);
            line(&mut out, "grid", (x, top), (x, bottom), "");
            text(&mut out, (x, bottom + 20.0), "middle", &label);
        }
        for (tick, label) in ticks_10(frame.y) {
            let y = frame.y(tick);
            line(&mut out, "grid", (left, y), (right, y), "");
            text(&mut out, (left - 8.0, y + 4.0), "end", &label);
        }
        let middle = (f64::midpoint(left, right), f64::midpoint(top, bottom));
        text(&mut out, (middle.0, height - 14.0), "middle", self.x);
        let _ = writeln!(
            out,
            "<path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>\n\
             <text class=\"text\" transform=\"translate(20 {:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>",
            middle.1,
            escape(self.y),
        );
        let mut names = Vec::new();
        if let Some((name, limit)) = self.limit {
            let y = frame.y(limit);
            line(&mut out, "axis", (left, y), (right, y), DOTS);
            names.push((name, "axis".to_owned(), DOTS));
        }
        for own in &self.lines {
            let class = format!("line c{}", own.color % COLORS.len());
            let dash = if own.dashed { DASHES } else { "" };
            let points: Vec<_> = own
                .points
                .iter()
                .filter(|(x, y)| *x > 0.0 && *y > 0.0 && x.is_finite() && y.is_finite())
                .map(|(x, y)| format!("{:.1},{:.1}", frame.x(*x), frame.y(*y)))
                .collect();
            let points = points.join(" ");
            let _ = writeln!(
                out,
                "<polyline class=\"{class}\"{dash} points=\"{points}\"/>"
            );
            names.push((&own.name, class, dash));
        }
        for (row, (name, class, dash)) in names.into_iter().enumerate() {
            let (x, y) = (right + 20.0, top + 8.0 + 22.0 * row as f64);
            line(&mut out, &class, (x, y), (x + 30.0, y), dash);
            text(&mut out, (x + 38.0, y + 4.0), "start", name);
        }
        out.push_str("</svg>\n");
        out
    }
}

const DASHES: &str = " stroke-dasharray=\"6 4\"";
const DOTS: &str = " stroke-dasharray=\"2 4\"";

/// The colours on light ground, and on dark ground where the reader prefers that.
fn style() -> String {
    let rules = |ground: &str, text: &str, grid: &str, axis: &str, dark: bool| {
        let mut rules = format!(
            ".ground{{fill:{ground}}}.text{{fill:{text}}}.grid{{stroke:{grid}}}\
             .axis{{stroke:{axis};fill:none}}"
        );
        for (i, (on_light, on_dark)) in COLORS.iter().enumerate() {
            let color = if dark { on_dark } else { on_light };
            let _ = write!(rules, ".c{i}{{stroke:{color}}}");
        }
        rules
    };
    format!(
        "{}\n.line{{fill:none;stroke-width:2;stroke-linejoin:round}}\n\
         @media (prefers-color-scheme:dark){{{}}}\n",
        rules("#ffffff", "#1f2937", "#e5e7eb", "#6b7280", false),
        rules("#0d1117", "#e6edf3", "#262c36", "#8b949e", true),
    )
}

fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64), dash: &str) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\"{dash} x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1,
    );
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = escape(words);
    let _ = writeln!(
        out,
        "<text class=\"text\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Every second power of two between two logarithms.
fn ticks_2((low, high): (f64, f64)) -> impl Iterator<Item = (f64, String)> {
    (0..64u32)
        .step_by(2)
        .map(|exponent| (f64::from(exponent).exp2(), power(exponent)))
        .filter(move |(value, _)| (low..=high).contains(&value.ln()))
}

/// One, two and five times powers of ten between two logarithms.
fn ticks_10((low, high): (f64, f64)) -> impl Iterator<Item = (f64, String)> {
    (-6..7)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(exponent)))
        .filter(move |value| (low..=high).contains(&value.ln()))
        .map(|value| (value, format!("{value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)]) -> String {
        let line = |name: &str, dashed| Line {
            name: name.to_owned(),
            color: 0,
            dashed,
            points: points.to_vec(),
        };
        Chart {
            title: "Speed < size",
            x: "elements",
            y: "GB/s",
            lines: vec![line("add, 1", true), line("add, 2", false)],
            limit: Some(("copy", 30.0)),
        }
        .svg()
    }

    /// The points of each line.
    fn points(svg: &str) -> Vec<Vec<(f64, f64)>> {
        let lines = svg.lines().filter(|line| line.starts_with("<polyline"));
        lines
            .map(|line| {
                let (_, points) = line.split_once("points=\"").unwrap();
                let (points, _) = points.split_once('"').unwrap();
                let pair = |text: &str| {
                    let (x, y) = text.split_once(',').unwrap();
                    (x.parse().unwrap(), y.parse().unwrap())
                };
                points.split_whitespace().map(pair).collect()
            })
            .collect()
    }

    #[test]
    fn lines_lie_inside_the_axes_at_distances_of_logarithms() {
        let lines = points(&chart(&[(1024.0, 1.0), (4096.0, 10.0), (16384.0, 100.0)]));
        assert_eq!(lines.len(), 2);
        let [a, b, c] = lines[0][..] else {
            panic!("three points")
        };
        assert!((b.0 - a.0 - (c.0 - b.0)).abs() < 0.2 && b.0 > a.0);
        assert!((a.1 - b.1 - (b.1 - c.1)).abs() < 0.2 && b.1 < a.1);
        for (x, y) in [a, b, c] {
            assert!((MARGINS.0..=SIZE.0 - MARGINS.1).contains(&x), "{x}");
            assert!((MARGINS.2..=SIZE.1 - MARGINS.3).contains(&y), "{y}");
        }
    }

    #[test]
    fn tags_are_balanced_and_words_are_escaped() {
        for svg in [
            chart(&[(1024.0, 3.0), (2048.0, 4.0)]),
            chart(&[]),
            chart(&[(0.0, f64::NAN)]),
        ] {
            let mut open = Vec::new();
            for tag in svg.split('<').skip(1) {
                let (tag, _) = tag.split_once('>').expect("a tag ends");
                let name = tag.split_whitespace().next().unwrap();
                match name.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop(), Some(name)),
                    None if tag.ends_with('/') => {}
                    None => open.push(name),
                }
            }
            assert!(open.is_empty(), "{open:?}");
            assert!(svg.contains("Speed &lt; size") && !svg.contains("NaN"));
        }
    }

    #[test]
    fn the_legend_names_every_line_and_axes_have_round_numbers() {
        let svg = chart(&[(1024.0, 1.0), (16384.0, 50.0)]);
        for words in [
            "add, 1", "add, 2", "copy", "elements", "GB/s", "2¹⁰", "2¹⁴", "10", "50",
        ] {
            assert!(svg.contains(&format!(">{words}</text>")), "{words}");
        }
    }
}
