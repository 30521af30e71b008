//! The picture: CPU per transaction of each side, work by work, with Kamailio's native script as 1.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::results::Results;
use crate::servers::Side;
use crate::works::Work;

/// Pixels of a work's row and of the whole width.
const ROW: u32 = 64;
const WIDTH: u32 = 900;

/// Colours of the sides; the target's line is black.
const COLOURS: [(Side, RGBColor); 3] = [
    (Side::Native, RGBColor(140, 140, 150)),
    (Side::Lua, RGBColor(190, 190, 200)),
    (Side::Switchhook, RGBColor(40, 110, 190)),
];

/// Draw those works that were measured into an SVG file.
pub(crate) fn draw(results: &Results, works: &[Work], file: &Path) -> Result<()> {
    let rows: Vec<_> = works
        .iter()
        .filter_map(|work| Some((*work, results.works.get(work.name())?)))
        .collect();
    let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {}: {error}", file.display());
    let height = ROW * rows.len() as u32 + 110;
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let longest = rows
        .iter()
        .flat_map(|(_, comparison)| comparison.sides.iter().filter_map(|bill| bill.ratio))
        .map(|ratio| ratio.median)
        .fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "CPU per transaction, Kamailio's native script = 1 (less is better; the mark is our target)",
            ("sans-serif", 16),
        )
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(180)
        .build_cartesian_2d(0.0..longest * 1.15, 0.0..rows.len() as f64)
        .map_err(|error| failed(&error))?;
    let name = |at: &f64| {
        let row = (rows.len() as f64 - at).floor() as usize;
        rows.get(row)
            .map(|(work, _)| work.title().to_owned())
            .unwrap_or_default()
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_labels(12)
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(|error| failed(&error))?;
    for (row, (work, comparison)) in rows.iter().enumerate() {
        let top = (rows.len() - row) as f64;
        chart
            .draw_series([EmptyElement::at((0.0, top - 0.5))
                + Text::new(name(&(top - 0.5)), (-178, -6), ("sans-serif", 13))])
            .map_err(|error| failed(&error))?;
        let bars = COLOURS
            .iter()
            .enumerate()
            .filter_map(|(k, (side, colour))| {
                let ratio = comparison.bill(*side)?.ratio?.median;
                let upper = top - 0.12 - 0.26 * k as f64;
                Some(Rectangle::new(
                    [(0.0, upper), (ratio, upper - 0.22)],
                    colour.filled(),
                ))
            });
        chart.draw_series(bars).map_err(|error| failed(&error))?;
        let target = work.target();
        chart
            .draw_series([PathElement::new(
                vec![(target, top - 0.62), (target, top - 0.90)],
                BLACK.stroke_width(2),
            )])
            .map_err(|error| failed(&error))?;
    }
    for (side, colour) in COLOURS {
        chart
            .draw_series(std::iter::empty::<Rectangle<(f64, f64)>>())
            .map_err(|error| failed(&error))?
            .label(side.title())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 13))
        .draw()
        .map_err(|error| failed(&error))?;
    area.present().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::comparison;

    #[test]
    fn the_picture_names_works_and_sides() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("picture.svg");
        let mut results = Results::default();
        results.works.insert("message".into(), comparison());
        draw(&results, &[Work::Message], &file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        assert!(svg.contains("MESSAGE relayed, stateful"));
        assert!(svg.contains(Side::Switchhook.title()));
    }
}
