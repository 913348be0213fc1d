//! What was measured: every figure in several runs, its median and its spread.

use std::fmt::Write as _;

/// Who made a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    Own,
    Peer,
    /// The machine itself: what nothing can beat.
    Limit,
}

struct Figure {
    name: String,
    by: By,
    unit: &'static str,
    runs: Vec<f64>,
}

/// Figures in the order of their first appearance.
#[derive(Default)]
pub struct Figures {
    figures: Vec<Figure>,
}

impl Figures {
    pub fn add(&mut self, by: By, name: impl Into<String>, unit: &'static str, value: f64) {
        let name = name.into();
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.runs.push(value),
            None => self.figures.push(Figure { name, by, unit, runs: vec![value] }),
        }
    }

    /// Adds how a figure compares with another, if both were measured: run by run, since from one run to the
    /// next a shared machine may be another one.
    pub fn add_ratio(&mut self, name: &str, of: &str, to: &str) {
        let runs =
            |name| self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.runs.clone());
        let (Some(of), Some(to)) = (runs(of), runs(to)) else { return };
        for (of, to) in of.iter().zip(&to) {
            self.add(By::Own, name, "times", of / to);
        }
    }

    pub fn table(&self) -> String {
        let mut text = String::new();
        for figure in &self.figures {
            let (least, median, most) = summary(&figure.runs);
            let _ = writeln!(
                text,
                "{:<5} {:<66} {:>10} {:<6} ({} to {})",
                format!("{:?}", figure.by).to_lowercase(),
                figure.name,
                round(median),
                figure.unit,
                round(least),
                round(most)
            );
        }
        text
    }

    /// One JSON object a line.
    pub fn json_lines(&self) -> String {
        let mut text = String::new();
        for figure in &self.figures {
            let (least, median, most) = summary(&figure.runs);
            let _ = writeln!(
                text,
                r#"{{"name":"{}","value":{},"unit":"{}","by":"{}","min":{},"max":{},"runs":{}}}"#,
                figure.name,
                round(median),
                figure.unit,
                format!("{:?}", figure.by).to_lowercase(),
                round(least),
                round(most),
                figure.runs.len()
            );
        }
        text
    }
}

fn summary(runs: &[f64]) -> (f64, f64, f64) {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}

/// Three significant digits are more than a shared machine can promise.
fn round(value: f64) -> f64 {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
