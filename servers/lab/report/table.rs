//! Tables as HTML. One that is wider than the page scrolls in a box of its own.

use std::fmt::Write as _;

use crate::lab::findings::Table;
use crate::site::pages::text::escape;

/// A table with its title as its caption. The box around it can be reached and scrolled by
/// keyboard.
pub fn table(table: &Table) -> String {
    let title = escape(&table.title);
    let mut html = format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{title}\" tabindex=\"0\">\n\
         <table class=\"figures\">\n<caption><span>{title}</span></caption>\n<thead><tr>"
    );
    let class = |column: usize| if has_words(table, column) { " class=\"words\"" } else { "" };
    for (index, column) in table.columns.iter().enumerate() {
        let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(index), escape(column));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let columns = table.columns.len().max(row.len());
        let mut cells = row.iter().map(String::as_str).chain(std::iter::repeat(""));
        let name = escape(cells.next().unwrap_or_default());
        let _ = write!(html, "<tr><th scope=\"row\">{name}</th>");
        for (index, cell) in (1..columns).zip(cells) {
            let _ = write!(html, "<td{}>{}</td>", class(index), escape(cell));
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody>\n</table>\n</div>\n"
}

/// Whether a column is to be read as text: to the left, and broken into lines. Figures are short
/// and begin with a digit, a sign, or a dash where there is none.
fn has_words(table: &Table, column: usize) -> bool {
    let is_figure = |cell: &String| {
        let begins = |c: char| c.is_ascii_digit() || "-+–~<>".contains(c);
        cell.is_empty() || cell.starts_with(begins) && cell.chars().count() <= 16
    };
    column > 0 && table.rows.iter().filter_map(|row| row.get(column)).any(|cell| !is_figure(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_name_and_as_many_cells_as_there_are_columns() {
        let mut example = Table::new("<T>", &["model", "a", "b"]);
        example.row(["<sped>".to_owned(), "1".to_owned()]);
        let html = table(&example);
        assert!(html.contains("<caption><span>&lt;T&gt;</span></caption>"));
        assert!(html.contains("<th scope=\"row\">&lt;sped&gt;</th><td>1</td><td></td></tr>"));
        assert_eq!(html.matches("scope=\"col\"").count(), 3);
    }

    #[test]
    fn a_column_with_words_is_text_from_its_head_down() {
        let mut example = Table::new("T", &["model", "clients", "rate"]);
        example.row(["sped", "all wait", "1"].map(str::to_owned));
        example.row(["mt", "–", "–"].map(str::to_owned));
        let html = table(&example);
        assert!(
            html.contains("<th scope=\"col\" class=\"words\">clients</th><th scope=\"col\">rate")
        );
        assert!(html.contains("<td class=\"words\">–</td><td>–</td>"));
    }
}
