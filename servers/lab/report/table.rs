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
         <table class=\"figures\">\n<caption>{title}</caption>\n<thead><tr>"
    );
    for column in &table.columns {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(column));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let columns = table.columns.len().max(row.len());
        let mut cells = row.iter().map(String::as_str).chain(std::iter::repeat(""));
        let name = escape(cells.next().unwrap_or_default());
        let _ = write!(html, "<tr><th scope=\"row\">{name}</th>");
        for cell in cells.take(columns.saturating_sub(1)) {
            let class = if is_figure(cell) { "" } else { " class=\"words\"" };
            let _ = write!(html, "<td{class}>{}</td>", escape(cell));
        }
        html.push_str("</tr>\n");
    }
    html + "</tbody>\n</table>\n</div>\n"
}

/// Whether a cell is so short that it must not be broken into lines.
fn is_figure(cell: &str) -> bool {
    cell.chars().count() <= 14
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_name_and_as_many_cells_as_there_are_columns() {
        let mut example = Table::new("<T>", &["model", "a", "b"]);
        example.row(["<sped>".to_owned(), "1".to_owned()]);
        let html = table(&example);
        assert!(html.contains("<caption>&lt;T&gt;</caption>"));
        assert!(html.contains("<th scope=\"row\">&lt;sped&gt;</th><td>1</td><td></td></tr>"));
        assert_eq!(html.matches("scope=\"col\"").count(), 3);
    }
}
