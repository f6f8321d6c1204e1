//! What a bench found, for programs (JSON) and for the eye (SVG), beside the table that it prints.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::system;
use super::usage::Cost;
use rules::problem::Problem;

/// One run of one bench.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub bench: &'static str,
    /// The command that gives them again.
    pub command: String,
    pub date: String,
    /// As `/proc/loadavg` said when the run began: others may have been at work.
    pub load_average: String,
    pub machine: String,
    pub cases: Vec<MeasuredCase>,
    /// Which figure of each case the picture shows.
    #[serde(skip)]
    plotted: &'static [&'static str],
    #[serde(skip)]
    unit: &'static str,
}

/// What was found in one case: names, with the unit at their end, and numbers.
#[derive(Debug, Serialize)]
pub struct MeasuredCase {
    pub case: String,
    pub figures: serde_json::Map<String, serde_json::Value>,
}

impl MeasuredCase {
    pub fn new(case: impl Into<String>) -> MeasuredCase {
        MeasuredCase { case: case.into(), figures: serde_json::Map::new() }
    }

    /// Notes a figure; one that is unknown is left out.
    #[must_use]
    pub fn with(mut self, name: &str, figure: impl Into<Option<f64>>) -> MeasuredCase {
        let figure = figure.into().filter(|figure| figure.is_finite());
        if let Some(figure) = figure.and_then(serde_json::Number::from_f64) {
            self.figures.insert(name.to_owned(), figure.into());
        }
        self
    }

    /// Notes what an event cost.
    #[must_use]
    pub fn with_cost(self, cost: &Cost, events: usize) -> MeasuredCase {
        let million = |seconds: Option<f64>| seconds.map(|s| s * 1e6 / events as f64);
        self.with("wal_bytes_per_event", cost.wal_bytes as f64 / events as f64)
            .with("daemon_cpu_seconds_per_million", million(cost.daemon_cpu))
            .with("postgres_cpu_seconds_per_million", million(cost.postgres_cpu))
            .with("broker_cpu_seconds_per_million", million(cost.broker_cpu))
    }

    fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name)?.as_f64()
    }
}

impl Figures {
    /// Begins the notes of a run.
    pub fn new(
        bench: &'static str,
        machine: &str,
        plotted: &'static [&'static str],
        unit: &'static str,
    ) -> Figures {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Figures {
            bench,
            command: format!("bin/{}", arguments.join(" ")),
            date: Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            load_average: load_average(),
            machine: machine.trim_end().to_owned(),
            cases: Vec::new(),
            plotted,
            unit,
        }
    }

    pub fn note(&mut self, case: MeasuredCase) {
        self.cases.push(case);
    }

    /// Writes `NAME.json` and `NAME.svg` into a folder.
    pub fn save(&self, folder: &Path) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|e| system(format!("the figures have no form in JSON: {e}")))?;
        let write = |name: String, text: String| {
            let file = folder.join(name);
            fs::write(&file, text)
                .map_err(|e| system(format!("cannot write {}: {e}", file.display())))
        };
        fs::create_dir_all(folder)
            .map_err(|e| system(format!("cannot make {}: {e}", folder.display())))?;
        write(format!("{}.json", self.bench), text + "\n")?;
        write(format!("{}.svg", self.bench), self.svg())
    }

    /// Bars, one a figure that is plotted, in groups, one a case.
    fn svg(&self) -> String {
        const LINE: usize = 20;
        const COLOURS: [&str; 5] = ["#2563eb", "#ea580c", "#16a34a", "#9333ea", "#64748b"];
        let shown: Vec<(&MeasuredCase, Vec<(usize, f64)>)> = self
            .cases
            .iter()
            .map(|case| {
                let of = |(n, name): (usize, &&str)| Some((n, case.figure(name)?));
                (case, self.plotted.iter().enumerate().filter_map(of).collect())
            })
            .filter(|(_, bars): &(_, Vec<_>)| !bars.is_empty())
            .collect();
        let most =
            shown.iter().flat_map(|(_, bars)| bars).fold(0.0_f64, |most, bar| most.max(bar.1));
        let mut body = text_at(10, 24, &format!("bench {} ({})", self.bench, self.unit), "bold");
        body += &text_at(10, 42, &format!("{}, load {}", self.date, self.load_average), "normal");
        let mut y = 66;
        for (n, name) in self.plotted.iter().enumerate() {
            body += &bar(10, y - 11, 12, COLOURS[n % COLOURS.len()]);
            body += &text_at(28, y, &name.replace('_', " "), "normal");
            y += LINE;
        }
        for (case, bars) in shown {
            y += LINE / 2;
            body += &text_at(10, y + 3, &case.case, "bold");
            for (n, figure) in bars {
                let width = if most > 0.0 { (figure / most * 440.0).round() as usize } else { 0 };
                body += &bar(220, y - 9, width.max(1), COLOURS[n % COLOURS.len()]);
                body += &text_at(226 + width, y + 2, &short(figure), "normal");
                y += LINE;
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{0}\" viewBox=\"0 0 760 {0}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n",
            y + LINE
        )
    }
}

fn bar(x: usize, y: usize, width: usize, colour: &str) -> String {
    format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"13\" fill=\"{colour}\"/>\n")
}

fn text_at(x: usize, y: usize, text: &str, weight: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text x=\"{x}\" y=\"{y}\" font-weight=\"{weight}\" fill=\"#111\">{text}</text>\n")
}

/// A number as it fits beside a bar.
fn short(figure: f64) -> String {
    match figure {
        whole if whole >= 100.0 => super::report::thousands(whole),
        small => format!("{small:.2}"),
    }
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_programs_and_for_the_eye() {
        let mut figures = Figures::new("apply", "2 cores\n", &["copy_per_second"], "events/s");
        let case = MeasuredCase::new("1 < 2").with("copy_per_second", 1234.5).with("unknown", None);
        figures.note(case.with("nonsense", f64::NAN));
        let folder = std::env::temp_dir().join(format!("makegood-figures-{}", std::process::id()));
        figures.save(&folder).unwrap();
        let json = fs::read_to_string(folder.join("apply.json")).unwrap();
        let svg = fs::read_to_string(folder.join("apply.svg")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        let kept = serde_json::json!([{"case": "1 < 2", "figures": {"copy_per_second": 1234.5}}]);
        assert_eq!((&read["cases"], &read["machine"]), (&kept, &"2 cores".into()));
        assert!(svg.contains("1 &lt; 2") && svg.contains(">1,234<") && svg.contains("#2563eb"));
    }
}
