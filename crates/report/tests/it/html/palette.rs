//! The colours: every pair that is read has enough contrast, and severities differ in grey.

use std::collections::BTreeMap;

const STYLE: &str = concat!(
    include_str!("../../../templates/html/base.css"),
    include_str!("../../../templates/html/style.css")
);

/// Ground and text that stand on each other.
const PAIRS: [(&str, &str); 17] = [
    ("bg", "fg"),
    ("bg", "dim"),
    ("bg", "accent"),
    ("soft", "fg"),
    ("soft", "dim"),
    ("soft", "accent"),
    ("glow", "fg"),
    ("glow", "dim"),
    ("glow", "accent"),
    ("warn-bg", "warn-fg"),
    ("x-bg", "x-fg"),
    ("c-bg", "c-fg"),
    ("h-bg", "h-fg"),
    ("m-bg", "m-fg"),
    ("l-bg", "l-fg"),
    ("u-bg", "u-fg"),
    ("bg", "x-bg"),
];

#[test]
fn every_pair_can_be_read() {
    for (name, palette) in palettes() {
        for (ground, text) in PAIRS {
            let contrast = contrast(palette[ground], palette[text]);
            assert!(
                contrast >= 4.5,
                "{name}: {text} on {ground} has {contrast:.2}"
            );
        }
    }
}

#[test]
fn severities_are_steps_in_grey() {
    for (name, palette) in palettes() {
        let steps = ["c-bg", "h-bg", "m-bg", "l-bg", "u-bg"].map(|step| luminance(palette[step]));
        let ground = luminance(palette["bg"]);
        // The graver, the further from the ground.
        let distances = steps.map(|step| (step - ground).abs());
        assert!(
            distances.is_sorted_by(|a, b| a > b),
            "{name}: {distances:?}"
        );
    }
}

#[test]
fn every_colour_is_used_and_every_use_is_defined() {
    let [(_, light), (_, dark), (_, print)] = palettes();
    for palette in [&dark, &print] {
        assert!(palette.keys().all(|name| light.contains_key(name)));
    }
    for name in light.keys() {
        assert!(
            STYLE.contains(&format!("var(--{name})")),
            "--{name} is used nowhere"
        );
    }
    for used in STYLE.split("var(--").skip(1) {
        let name = used.split(')').next().unwrap();
        assert!(light.contains_key(name), "--{name} is not defined");
    }
    // A colour outside of the palette would be seen in one scheme only.
    let rules: String = STYLE
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    let own: Vec<&str> = rules.matches(": #").collect();
    assert!(own.len() <= 2, "colours stand outside of the palette");
}

type Palette = BTreeMap<&'static str, [u8; 3]>;

/// Light, dark and print; the latter two over the first.
fn palettes() -> [(&'static str, Palette); 3] {
    let blocks: Vec<Palette> = STYLE.split(":root {").skip(1).map(definitions).collect();
    let [light, dark, print] = blocks.try_into().unwrap();
    let over = |palette: Palette| light.clone().into_iter().chain(palette).collect();
    let (dark, print) = (over(dark), over(print));
    [("light", light), ("dark", dark), ("print", print)]
}

fn definitions(block: &'static str) -> Palette {
    let block = block.split('}').next().unwrap();
    let definitions = block
        .split(';')
        .filter_map(|line| line.trim().split_once(": #"));
    definitions
        .filter_map(|(name, hex)| Some((name.strip_prefix("--")?, colour(hex))))
        .collect()
}

fn colour(hex: &str) -> [u8; 3] {
    let wide = match hex.len() {
        3 => hex.chars().flat_map(|c| [c, c]).collect(),
        _ => hex.to_owned(),
    };
    [0, 2, 4].map(|at| u8::from_str_radix(&wide[at..at + 2], 16).unwrap())
}

/// Relative luminance. Source: WCAG 2.2.
fn luminance(colour: [u8; 3]) -> f64 {
    let [r, g, b] = colour.map(|channel| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}
