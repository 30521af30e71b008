//! The report as a picture: calls a second by second, latencies second by second, and how latencies are spread.
//!
//! SVG with text as text and no fonts inside, so that it looks like the page it stands on.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;

use super::{Report, SecondFigures};

const WIDTH: u32 = 900;
const HEIGHT: u32 = 840;
/// Pixels above the plots.
const TITLE: u32 = 56;

const GOOD: RGBColor = RGBColor(40, 110, 190);
const BAD: RGBColor = RGBColor(200, 50, 40);
const QUIET: RGBColor = RGBColor(150, 150, 160);
const MIDDLE: RGBColor = RGBColor(230, 140, 30);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

impl Report {
    /// Draws it. The error is of the drawing library and tells nothing about the run.
    pub fn to_svg(&self) -> Result<String, Box<dyn Error>> {
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
            area.fill(&WHITE)?;
            let (title, plots) = area.split_vertically(TITLE);
            self.title(&title)?;
            let plots = plots.split_evenly((3, 1));
            if let [rate, course, spread] = plots.as_slice() {
                self.rate_plot(rate)?;
                self.course_plot(course)?;
                self.spread_plot(spread)?;
            }
            area.present()?;
        }
        Ok(text)
    }

    fn title(&self, area: &Area<'_>) -> Drawn {
        let load = match (self.concurrency, self.rate_asked) {
            (Some(most), _) => format!("{most} at once"),
            (_, Some(rate)) => format!("{rate} a second asked for"),
            _ => String::new(),
        };
        let first = format!("{} to {}, {load}", self.scenario, self.targets.join(", "));
        let second = format!(
            "{:.0} calls a second for {:.1} s, {} failed, {} messages sent again",
            self.rate, self.seconds, self.failed, self.retransmissions
        );
        area.draw_text(&first, &("sans-serif", 18).into_text_style(area), (14, 10))?;
        area.draw_text(&second, &("sans-serif", 13).into_text_style(area), (14, 34))?;
        Ok(())
    }

    /// The time axis, in seconds.
    fn span(&self) -> Range<f64> {
        0.0..self.series.len().max(1) as f64
    }

    fn rate_plot(&self, area: &Area<'_>) -> Drawn {
        let most =
            |value: fn(&SecondFigures) -> u64| self.series.iter().map(value).max().unwrap_or(0);
        let highest = most(|s| s.completed)
            .max(most(|s| s.offered))
            .max(most(|s| s.failed))
            .max(1);
        let mut chart = ChartBuilder::on(area)
            .caption("Calls a second", ("sans-serif", 14))
            .margin_right(20)
            .x_label_area_size(22)
            .y_label_area_size(70)
            .build_cartesian_2d(self.span(), 0.0..highest as f64 * 1.08)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .y_labels(6)
            .x_label_formatter(&whole_second)
            .y_label_formatter(&|calls| thousands(*calls as u64))
            .draw()?;
        let series = [
            ("begun", QUIET, (|s| s.offered) as fn(&SecondFigures) -> u64),
            ("good", GOOD, |s| s.completed),
            ("failed", BAD, |s| s.failed),
        ];
        for (_, colour, value) in series {
            chart.draw_series(line(self.points(value), colour))?;
        }
        names(area, &series.map(|(name, colour, _)| (name, colour)))
    }

    fn course_plot(&self, area: &Area<'_>) -> Drawn {
        let highest = self.series.iter().map(|s| s.max).max().unwrap_or(1);
        let lowest = self
            .series
            .iter()
            .map(|s| s.p50)
            .filter(|p50| *p50 > 0)
            .min();
        let mut chart = ChartBuilder::on(area)
            .caption("Latency of a call, second by second", ("sans-serif", 14))
            .margin_right(20)
            .x_label_area_size(22)
            .y_label_area_size(70)
            .build_cartesian_2d(
                self.span(),
                decades(lowest.unwrap_or(1), highest).log_scale(),
            )?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_label_formatter(&whole_second)
            .y_label_formatter(&|micros| super::table::round(*micros as u64))
            .draw()?;
        let series = [
            ("max", QUIET, (|s| s.max) as fn(&SecondFigures) -> u64),
            ("p99", MIDDLE, |s| s.p99),
            ("p50", GOOD, |s| s.p50),
        ];
        for (_, colour, value) in series {
            let points = self.points(value).filter(|(_, micros)| *micros > 0.0);
            chart.draw_series(line(points, colour))?;
        }
        names(area, &series.map(|(name, colour, _)| (name, colour)))
    }

    /// By percentile, each further nine as far from the last as the others.
    fn spread_plot(&self, area: &Area<'_>) -> Drawn {
        let known: Vec<_> = self.spread.iter().filter(|point| point.us > 0).collect();
        let nines = |quantile: f64| -(1.0 - quantile).log10();
        let last = known
            .iter()
            .map(|point| nines(point.quantile))
            .fold(1.0, f64::max);
        let lowest = known.first().map_or(1, |point| point.us);
        let highest = known.last().map_or(1, |point| point.us);
        let mut chart = ChartBuilder::on(area)
            .caption("Latency of a call, by percentile", ("sans-serif", 14))
            .margin_right(20)
            .x_label_area_size(26)
            .y_label_area_size(70)
            .build_cartesian_2d(Nines(last), decades(lowest, highest).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_labels(8)
            .y_label_formatter(&|micros| super::table::round(*micros as u64))
            .draw()?;
        let points = known
            .iter()
            .map(|point| (nines(point.quantile), point.us as f64));
        chart.draw_series(line(points, GOOD))?;
        Ok(())
    }

    /// A value of each second, in its middle.
    fn points(&self, value: fn(&SecondFigures) -> u64) -> impl Iterator<Item = (f64, f64)> + '_ {
        let series = self.series.iter();
        series.map(move |second| (second.second as f64 + 0.5, value(second) as f64))
    }
}

/// A line through points.
fn line<T>(points: impl Iterator<Item = T>, colour: RGBColor) -> [PathElement<T>; 1] {
    [PathElement::new(
        points.collect::<Vec<_>>(),
        colour.stroke_width(2),
    )]
}

/// An axis of percentiles from 0 to so many nines.
struct Nines(f64);

impl Ranged for Nines {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * value / self.0) as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        // a half, and whole nines
        let points = [0.0, 2f64.log10(), 1.0, 2.0, 3.0, 4.0, 5.0];
        points
            .into_iter()
            .filter(|nines| *nines <= self.0)
            .collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.0
    }
}

impl ValueFormatter<f64> for Nines {
    fn format(nines: &f64) -> String {
        percentile(*nines)
    }
}

/// Names of the lines, above the plot at its right.
fn names(area: &Area<'_>, names: &[(&str, RGBColor)]) -> Drawn {
    const STEP: i32 = 70;
    let style = ("sans-serif", 12).into_text_style(area);
    let mut x = WIDTH as i32 - 10 - STEP * names.len() as i32;
    for (name, colour) in names {
        area.draw(&Rectangle::new([(x, 11), (x + 14, 14)], colour.filled()))?;
        area.draw_text(name, &style, (x + 20, 6))?;
        x += STEP;
    }
    Ok(())
}

/// Whole decades around two values.
fn decades(lowest: u64, highest: u64) -> Range<f64> {
    let low = 10f64.powf((lowest.max(1) as f64).log10().floor());
    let high = 10f64.powf((highest.max(1) as f64 * 1.001).log10().ceil());
    low..high.max(low * 10.0)
}

/// `2 s`, and nothing between whole seconds.
fn whole_second(second: &f64) -> String {
    if second.fract() == 0.0 {
        format!("{second} s")
    } else {
        String::new()
    }
}

/// `18,000`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `99.9 %` for three nines.
fn percentile(nines: f64) -> String {
    let percent = 100.0 - 100.0 / 10f64.powf(nines);
    let digits = (nines.round() as usize).saturating_sub(2);
    format!("{percent:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [thousands(0), thousands(999), thousands(1_234_567)],
            ["0", "999", "1,234,567"]
        );
        let told: Vec<_> = [0.0, 2f64.log10(), 1.0, 2.0, 3.0, 4.0]
            .into_iter()
            .map(percentile)
            .collect();
        assert_eq!(told, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert_eq!(decades(150, 20_000), 100.0..100_000.0);
        assert_eq!(decades(0, 0), 1.0..10.0);
    }
}
