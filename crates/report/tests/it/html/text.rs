//! A page as text: what a person reads from top to bottom, with every part open.

/// The text of a page, block by block.
pub(super) fn of(html: &str) -> String {
    let (_, body) = html.split_once("<body>").unwrap();
    let mut out = String::new();
    let mut rest = body;
    while let Some((text, tag)) = rest.split_once('<') {
        add(&mut out, text);
        let (tag, after) = tag.split_once('>').unwrap();
        let name: &str = tag.split([' ', '/']).next().unwrap_or_default();
        rest = match name {
            "style" | "script" => after.split_once(&format!("</{name}>")).unwrap().1,
            "select" => after.split_once("</select>").unwrap().1,
            _ => after,
        };
        let mark = match name {
            "h1" => "\n\n# ",
            "h2" => "\n\n## ",
            "h3" => "\n### ",
            "summary" => "\n▸ ",
            "li" | "dt" => "\n- ",
            "dd" => ": ",
            "td" => " | ",
            "br" | "p" | "tr" | "table" | "text" | "desc" | "div" | "section" | "label" => "\n",
            _ => "",
        };
        out.push_str(mark);
    }
    add(&mut out, rest);
    let lines = out.lines().map(str::trim);
    let lines: Vec<&str> = lines
        .filter(|line| !matches!(*line, "" | "-" | "|"))
        .collect();
    lines.join("\n")
}

/// Adds a text, with white space as a browser takes it.
fn add(out: &mut String, text: &str) {
    let text = text
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&");
    for c in text.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with([' ', '\n']) {
            out.push(' ');
        }
    }
}
