//! Owns the picture of the losses, as SVG.

use std::fmt::Write;

use crate::checkpoint::Curve;

/// The picture's size, in pixels.
const SIZE: (f64, f64) = (760.0, 440.0);
/// Free space left, right, above and below the curves, for labels.
const MARGINS: (f64, f64, f64, f64) = (64.0, 24.0, 52.0, 56.0);
/// Losses that may get a line across the picture.
const TICKS: &[f64] = &[
    0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0,
];
const TRAIN: &str = "#9bb8a0";
const TRAIN_MEAN: &str = "#3f7d4e";
const HELD_OUT: &str = "#c2410c";

/// Maps steps and losses to places in the picture.
struct Frame {
    steps: f64,
    /// Logarithms of the least and the greatest loss shown.
    low: f64,
    high: f64,
}

impl Frame {
    fn around(curve: &Curve, steps: u64) -> Self {
        let held_out = curve.held_out.iter().map(|(_, loss)| *loss);
        let losses = curve.train.iter().copied().chain(held_out);
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for loss in losses.filter(|loss| *loss > 0.0 && loss.is_finite()) {
            (low, high) = (low.min(f64::from(loss)), high.max(f64::from(loss)));
        }
        if high == 0.0 {
            (low, high) = (0.5, 8.0);
        }
        // Room at both ends, so that no curve runs along the edge.
        Frame {
            steps: steps.max(1) as f64,
            low: (low * 0.93).ln(),
            high: (high * 1.07).ln(),
        }
    }

    fn x(&self, step: f64) -> f64 {
        MARGINS.0 + step / self.steps * (SIZE.0 - MARGINS.0 - MARGINS.1)
    }

    fn y(&self, loss: f64) -> f64 {
        let part = (self.high - loss.ln()) / (self.high - self.low);
        MARGINS.2 + part * (SIZE.1 - MARGINS.2 - MARGINS.3)
    }

    fn points(&self, curve: impl Iterator<Item = (f64, f64)>) -> String {
        curve
            .filter(|(_, loss)| *loss > 0.0 && loss.is_finite())
            .map(|(step, loss)| format!("{:.1},{:.1}", self.x(step), self.y(loss)))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Draws the losses of a run of `steps` steps: training, its moving mean, and held-out.
pub fn svg(curve: &Curve, steps: u64) -> String {
    let frame = Frame::around(curve, steps);
    let (width, height) = SIZE;
    let (left, right) = (frame.x(0.0), width - MARGINS.1);
    let (top, bottom) = (MARGINS.2, height - MARGINS.3);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>Training and held-out loss by step</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{left}\" y=\"24\" font-size=\"16\" font-weight=\"600\" fill=\"#1f2937\">\
         Loss while training</text>\n"
    );
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let visible = TICKS
        .iter()
        .filter(|tick| (frame.low..frame.high).contains(&tick.ln()));
    for &tick in visible {
        let y = frame.y(tick);
        line(format!(
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#e5e7eb\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#4b5563\">{tick}</text>",
            left - 8.0,
            y + 4.0,
        ));
    }
    for step in step_ticks(steps) {
        let x = frame.x(step as f64);
        line(format!(
            "<line x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#6b7280\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#4b5563\">{step}</text>",
            bottom + 5.0,
            bottom + 20.0,
        ));
    }
    line(format!(
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#6b7280\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#1f2937\">step</text>\n\
         <text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\" \
         fill=\"#1f2937\">loss (nats per token, logarithmic)</text>",
        f64::midpoint(left, right),
        height - 14.0,
        f64::midpoint(top, bottom),
    ));
    let by_step = |losses: &[f32]| -> Vec<(f64, f64)> {
        let steps = losses.iter().enumerate();
        steps
            .map(|(step, loss)| (step as f64 + 0.5, f64::from(*loss)))
            .collect()
    };
    let mean = smooth(&curve.train);
    let held_out = curve
        .held_out
        .iter()
        .map(|(step, loss)| (*step as f64, f64::from(*loss)));
    for (points, color, thickness) in [
        (frame.points(by_step(&curve.train).into_iter()), TRAIN, 0.7),
        (frame.points(by_step(&mean).into_iter()), TRAIN_MEAN, 1.8),
        (frame.points(held_out.clone()), HELD_OUT, 1.8),
    ] {
        line(format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" \
             stroke-width=\"{thickness}\" stroke-linejoin=\"round\"/>"
        ));
    }
    for (step, loss) in held_out.filter(|(_, loss)| *loss > 0.0 && loss.is_finite()) {
        let (x, y) = (frame.x(step), frame.y(loss));
        line(format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{HELD_OUT}\"/>"
        ));
    }
    for (row, (name, color)) in [
        ("training, each step", TRAIN),
        ("training, moving mean", TRAIN_MEAN),
        ("held out", HELD_OUT),
    ]
    .into_iter()
    .enumerate()
    {
        let y = top + 16.0 + 20.0 * row as f64;
        let x = right - 170.0;
        let _ = write!(
            out,
            "<line x1=\"{x}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{color}\" \
             stroke-width=\"3\"/>\n<text x=\"{}\" y=\"{}\" fill=\"#1f2937\">{name}</text>\n",
            x + 24.0,
            x + 32.0,
            y + 4.0,
        );
    }
    out.push_str("</svg>\n");
    out
}

/// About six round numbers from zero to `steps`.
fn step_ticks(steps: u64) -> impl Iterator<Item = u64> {
    let rough = steps.max(1).div_ceil(6);
    let magnitude = 10_u64.pow(rough.ilog10());
    let between = [1, 2, 5, 10]
        .map(|factor| factor * magnitude)
        .into_iter()
        .find(|between| *between >= rough)
        .unwrap_or(rough);
    (0..=steps).step_by(usize::try_from(between).unwrap_or(usize::MAX))
}

/// The mean of each loss and those around it; fewer at the ends.
fn smooth(losses: &[f32]) -> Vec<f32> {
    let reach = (losses.len() / 120).clamp(1, 25);
    (0..losses.len())
        .map(|at| {
            let window = &losses[at.saturating_sub(reach)..(at + reach + 1).min(losses.len())];
            window.iter().sum::<f32>() / window.len() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(steps: u64) -> Curve {
        Curve {
            train: (0..steps)
                .map(|step| 8.0 / (1.0 + step as f32 * 0.01))
                .collect(),
            held_out: (0..=steps)
                .step_by(50)
                .map(|s| (s, 8.1 / (1.0 + s as f32 * 0.01)))
                .collect(),
        }
    }

    /// Checks that tags are balanced and attributes quoted; returns each tag with its attributes.
    fn parse(svg: &str) -> Vec<(String, Vec<(String, String)>)> {
        let (mut open, mut all, mut rest) = (Vec::new(), Vec::new(), svg);
        while let Some(at) = rest.find('<') {
            assert!(
                !rest[..at].contains(['>', '&']),
                "stray text: {}",
                &rest[..at]
            );
            let end = at + rest[at..].find('>').expect("a tag ends");
            let tag = &rest[at + 1..end];
            rest = &rest[end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name));
                continue;
            }
            let closed = tag.ends_with('/');
            let tag = tag.trim_end_matches('/');
            let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            let mut pairs = Vec::new();
            while !attributes.trim().is_empty() {
                let (key, after) = attributes.split_once("=\"").expect("a quoted value");
                let (value, after) = after.split_once('"').expect("a closed value");
                assert!(
                    key.trim()
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '-')
                );
                pairs.push((key.trim().to_owned(), value.to_owned()));
                attributes = after;
            }
            if !closed {
                open.push(name.to_owned());
            }
            all.push((name.to_owned(), pairs));
        }
        assert!(
            open.is_empty() && rest.trim().is_empty(),
            "{open:?}, {rest}"
        );
        all
    }

    fn points(svg: &str) -> Vec<Vec<(f64, f64)>> {
        let tags = parse(svg);
        let lines = tags.iter().filter(|(name, _)| name == "polyline");
        lines
            .map(|(_, pairs)| {
                let (_, points) = pairs
                    .iter()
                    .find(|(key, _)| key == "points")
                    .expect("points");
                let number = |text: &str| text.parse::<f64>().expect("a number");
                let pair = |text: &str| text.split_once(',').map(|(x, y)| (number(x), number(y)));
                points
                    .split_whitespace()
                    .map(|text| pair(text).expect("a pair"))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn the_picture_is_well_formed_and_every_point_lies_inside_the_axes() {
        let lines = points(&svg(&curve(1000), 1000));
        assert_eq!(
            lines.iter().map(Vec::len).collect::<Vec<_>>(),
            [1000, 1000, 21]
        );
        for (x, y) in lines.into_iter().flatten() {
            assert!((MARGINS.0..=SIZE.0 - MARGINS.1).contains(&x), "{x}");
            assert!((MARGINS.2..=SIZE.1 - MARGINS.3).contains(&y), "{y}");
        }
    }

    #[test]
    fn a_falling_loss_goes_down_the_picture() {
        let lines = points(&svg(&curve(300), 300));
        for line in lines {
            assert!(
                line.windows(2)
                    .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1)
            );
        }
    }

    #[test]
    fn runs_of_any_length_can_be_drawn() {
        for steps in [0, 1, 7, 60, 12_345] {
            parse(&svg(&curve(steps), steps));
            let ticks = step_ticks(steps).count();
            assert!((1..=8).contains(&ticks), "{ticks} ticks for {steps} steps");
        }
        let odd = Curve {
            train: vec![f32::NAN, 0.0, f32::INFINITY],
            held_out: vec![(0, -1.0)],
        };
        assert!(points(&svg(&odd, 3)).iter().all(Vec::is_empty));
    }
}
