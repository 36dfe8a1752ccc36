//! A minimal SVG writer.

use std::fmt::Write;

/// Maximum number of series drawn; the description says how many more there are.
pub const MAX_SERIES: usize = 8;

/// Series colours: a contrast of at least 3 to white and to near-black, and in this order distinguishable with colour
/// blindness. A series has the class `c` and its index, so that the stylesheet of a page may choose others.
pub(super) const COLOURS: [&str; MAX_SERIES] =
    ["#2f7ed8", "#d0700f", "#1a9e77", "#c9508f", "#8a6fd1", "#a08a1c", "#3f9fb5", "#8c8c8c"];

/// Series dash patterns, in the order of [`COLOURS`].
pub(super) const DASHES: [&str; MAX_SERIES] = ["none", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 4", "6 2 1 2"];

/// An SVG document that is being written.
pub(super) struct Svg {
    text: String,
}

/// Where a chart is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In a file of its own or an `img`: the title is drawn, and text follows the viewer's light or dark scheme.
    File,
    /// Inline in a page, which writes the title itself and sets the colour of text.
    Inline,
}

/// Which part of a text is at its coordinates.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Starts a document of the given width and height in pixels, with a title and description for screen readers.
    pub(super) fn new(placement: Placement, (width, height): (f64, f64), title: &str, description: &str) -> Self {
        let mut svg = Self { text: String::with_capacity(8 * 1024) };
        svg.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"currentColor\">\n\
             <title>{}</title>\n<desc>{}</desc>\n",
            escape(title),
            escape(description)
        ));
        if placement == Placement::File {
            svg.text.push_str(
                "<style>svg:root{color:#1f2933;max-width:100%;height:auto}\
                 @media (prefers-color-scheme:dark){svg:root{color:#e4e7eb}}</style>\n",
            );
        }
        svg
    }

    /// Appends markup, whose text must already be escaped.
    pub(super) fn push(&mut self, markup: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(markup);
    }

    /// Appends text, which is escaped here.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, attributes: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{attributes}>{}</text>\n",
            escape(text)
        ));
    }

    /// Appends text that reads upward, centred at its coordinates.
    pub(super) fn upward_text(&mut self, x: f64, y: f64, text: &str) {
        self.text(x, y, Anchor::Middle, &format!(" transform=\"rotate(-90 {x} {y:.1})\""), text);
    }

    /// Appends the mark of a point, with its values as a tooltip.
    pub(super) fn mark(&mut self, x: f64, y: f64, values: &str) {
        self.push(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"currentColor\"><title>{}</title></circle>\n",
            escape(values)
        ));
    }

    /// Appends a thin line in the current colour.
    pub(super) fn rule(&mut self, from: (f64, f64), to: (f64, f64), attributes: &str) {
        self.push(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"currentColor\"{attributes}/>\n",
            from.0, from.1, to.0, to.1
        ));
    }

    /// Ends the document and returns it.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Escapes text for XML; control characters become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// Shortens a name to at most `most` characters, the last of which is then `…`.
pub fn short(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
