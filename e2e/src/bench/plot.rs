//! The figures as a picture: time, memory and processor against the number of certificates, on logarithmic axes.

use super::figures::{Figures, Issuance, ratio};
use plotters::prelude::*;

const SIZE: (u32, u32) = (1200, 420);

/// A line of a chart: its name, its colour, its points.
type Line<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

/// Draws; the SVG as text. Errors: in the words of the library that draws.
pub(super) fn plot(figures: &Figures) -> Result<String, String> {
    let points = |all: &[Issuance], value: fn(&Issuance) -> f64| {
        all.iter().map(|issuance| (ratio(issuance.certificates, 1), value(issuance))).collect::<Vec<_>>()
    };
    let (real, fake) = (&figures.issuance, &figures.fake);
    let charts: [(&str, Vec<Line<'_>>); 3] = [
        (
            "seconds until all are Ready",
            vec![
                ("kube-apiserver", BLUE, points(real, |i| i.wall_seconds)),
                ("API server in memory", RED, points(fake, |i| i.wall_seconds)),
            ],
        ),
        (
            "CPU seconds per 1,000 certificates",
            vec![
                ("operator", BLUE, points(real, Issuance::operator_cpu_per_1000)),
                ("signer", GREEN, points(real, Issuance::signer_cpu_per_1000)),
                ("operator, in memory", RED, points(fake, Issuance::operator_cpu_per_1000)),
            ],
        ),
        (
            "operator peak memory, MiB",
            vec![
                ("kube-apiserver", BLUE, points(real, |i| i.operator.peak_mib)),
                ("API server in memory", RED, points(fake, |i| i.operator.peak_mib)),
            ],
        ),
    ];
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(|error| error.to_string())?;
        for (area, (title, lines)) in area.split_evenly((1, charts.len())).iter().zip(&charts) {
            chart(area, title, lines).map_err(|error| error.to_string())?;
        }
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Failed<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn chart<'a>(area: &Area<'a>, title: &str, lines: &[Line<'_>]) -> Result<(), Failed<'a>> {
    let all = || lines.iter().flat_map(|(_, _, points)| points);
    let ends = |values: Vec<f64>| {
        let positive = || values.iter().copied().filter(|value| *value > 0.0);
        (positive().fold(f64::INFINITY, f64::min) / 1.5, positive().fold(0.0, f64::max) * 1.5)
    };
    let (left, right) = ends(all().map(|(x, _)| *x).collect());
    let (low, high) = ends(all().map(|(_, y)| *y).collect());
    if !(left < right && low < high) {
        return Ok(());
    }
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(50)
        .build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())?;
    chart.configure_mesh().x_desc("certificates").light_line_style(WHITE).draw()?;
    for (name, colour, points) in lines.iter().filter(|(_, _, points)| !points.is_empty()) {
        let drawn = points.iter().copied();
        chart
            .draw_series(LineSeries::new(drawn, *colour).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], *colour));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).border_style(BLACK).draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measured_size_is_drawn_and_nothing_is_drawn_of_nothing() {
        let issuance =
            |certificates, wall_seconds| Issuance { certificates, wall_seconds, ..Issuance::default() };
        let figures =
            Figures { issuance: vec![issuance(100, 1.0), issuance(1000, 9.0)], ..Figures::default() };
        let svg = plot(&figures).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("kube-apiserver"), "{svg}");
        assert!(!plot(&Figures::default()).unwrap().contains("kube-apiserver"));
    }
}
