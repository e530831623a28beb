//! The welcome page: what a server without a root shows at `/`.
//!
//! It shows which model is running, a picture of which process or thread does which task, and links
//! to everything else. All of it is known at startup, so it is prepared once.

use std::fmt::Write as _;
use std::io;

use http::Status;

use super::pages::text::escape;
use super::pages::{self, HTML, NO_STORE, NOSNIFF, Page, picture};
use super::routes::{self, Part, Route};
use crate::app::{Prepared, Request, Response, reads, refuse_method};
use crate::model::{ModelInfo, ModelInfos};

/// The welcome page, prepared.
pub struct Welcome {
    page: Prepared,
}

impl Welcome {
    /// The page of the model that runs, with links to the enabled routes.
    ///
    /// # Errors
    /// An invalid field in the prepared page: a bug in this file.
    pub fn new(infos: &ModelInfos, demo: bool, status: bool) -> io::Result<Self> {
        let policy = pages::policy(None);
        let fields = [
            HTML,
            NO_STORE,
            NOSNIFF,
            ("Content-Security-Policy", &policy),
            ("Referrer-Policy", "no-referrer"),
        ];
        let page = Prepared::new(Status::OK, &fields, page(infos, demo, status))
            .map_err(|_| io::Error::other("invalid field in a prepared answer"))?;
        Ok(Welcome { page })
    }

    /// Answers without work or waits.
    pub fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) {
        if !reads(request.method()) {
            return refuse_method(request, response);
        }
        response.prepared(&self.page);
    }
}

/// The document.
fn page(infos: &ModelInfos, demo: bool, status: bool) -> String {
    let info = infos.running;
    let mut body = String::with_capacity(8 * 1024);
    header(&mut body, info, status);
    let _ = write!(
        body,
        "<h2>The three tasks</h2>\n<figure class=\"panel\">\n{}</figure>\n",
        picture::picture(info)
    );
    model(&mut body, info);
    if demo {
        links(&mut body, "Try it", Part::Demo);
    }
    if status {
        links(&mut body, "Watch it", Part::Status);
    }
    all_models(&mut body, infos);
    body.push_str(FOOTER);
    let title = format!("{} · Stampede", info.name);
    Page { title: &title, head: "", body: &body, script: None }.document()
}

fn header(body: &mut String, info: &ModelInfo, status: bool) {
    let status = if status { "<nav><a href=\"status\">Status</a></nav>" } else { "" };
    let _ = write!(
        body,
        "<header>\n<div class=\"top\"><span class=\"brand\">Stampede</span>\
         <span>one application, every classic concurrency model</span>{status}</div>\n\
         <h1>{}</h1>\n<p>{}</p>\n<p class=\"lesson\">{}</p>\n</header>\n<main>\n",
        escape(info.name),
        escape(info.title),
        escape(info.lesson)
    );
}

/// The model's own description and text diagram.
fn model(body: &mut String, info: &ModelInfo) {
    let _ = write!(
        body,
        "<h2>How it works</h2>\n<div class=\"panel\"><pre>{}</pre></div>\n\
         <p>At most in flight: {}.</p>\n",
        escape(info.picture.trim_matches('\n')),
        escape(info.in_flight.trim_end_matches('.'))
    );
}

/// Who does which task, under every model.
fn all_models(body: &mut String, infos: &ModelInfos) {
    body.push_str(
        "<h2>The same application, under every model</h2>\n<div class=\"panel\">\
         <table class=\"models\">\n<tr><th scope=\"col\">Model</th>\
         <th scope=\"col\" class=\"one\">Accepts (Task 1)</th>\
         <th scope=\"col\" class=\"two\">Reads and writes (Task 2)</th>\
         <th scope=\"col\" class=\"three\">Computes (Task 3)</th>\
         <th scope=\"col\">In flight at most</th></tr>\n",
    );
    for info in &infos.all {
        let current = if info.name == infos.running.name { " aria-current=\"true\"" } else { "" };
        let _ = writeln!(
            body,
            "<tr{current}><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td></tr>",
            escape(info.name),
            escape(info.task1),
            escape(info.task2),
            escape(info.task3),
            escape(info.in_flight)
        );
    }
    body.push_str("</table></div>\n");
}

fn links(body: &mut String, title: &str, part: Part) {
    let _ = writeln!(body, "<h2>{title}</h2>\n<div class=\"panel\"><table class=\"links\">");
    for Route { path, query, argument, help, .. } in
        routes::TABLE.iter().filter(|route| route.part == part)
    {
        // Relative: the server may be under a prefix.
        let target = path.trim_start_matches('/');
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\"><a href=\"{target}{query}\"><code>{path}{argument}</code></a></th>\
             <td class=\"help\">{help}</td></tr>"
        );
    }
    body.push_str("</table></div>\n");
}

/// What to do next: serve a directory.
const FOOTER: &str = "</main>\n<footer>This page is built in. Start the server with \
    <code>--root DIR</code> and it serves that directory; <code>--help</code> shows the rest.\
    </footer>\n";

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: ModelInfo = ModelInfo {
        name: "sp<e>d",
        title: "Single & Process",
        lesson: "\"lesson\"",
        task1: "the loop",
        task2: "it",
        task3: "again",
        in_flight: "many.",
        picture: "\n  <-- o -->\n",
        disk: crate::app::Disk::Wait,
    };

    #[test]
    fn the_page_shows_the_card() {
        let text = page(&(&INFO).into(), true, true);
        for part in [
            "<h1>sp&lt;e&gt;d</h1>",
            "Single &amp; Process",
            "&quot;lesson&quot;",
            "<pre>  &lt;-- o --&gt;</pre>",
            "At most in flight: many.</p>",
            "<svg class=\"picture\"",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn only_what_is_on_is_linked() {
        let linked = |demo, status| {
            let text = page(&(&INFO).into(), demo, status);
            (text.contains("href=\"plaintext\""), text.contains("href=\"status\""))
        };
        assert_eq!(linked(true, true), (true, true));
        assert_eq!(linked(false, true), (false, true));
        assert_eq!(linked(true, false), (true, false));
        assert_eq!(linked(false, false), (false, false));
    }

    #[test]
    fn links_are_relative_and_show_what_an_argument_is() {
        let text = page(&(&INFO).into(), true, true);
        assert!(text.contains("<a href=\"work?us=200000\"><code>/work?us=N</code></a>"), "{text}");
        assert!(!text.contains("href=\"/"));
    }

    #[test]
    fn all_models_are_listed_and_the_one_that_runs_is_marked() {
        static OTHER: ModelInfo = ModelInfo { name: "other", task2: "<another>", ..INFO };
        let infos = ModelInfos { running: &INFO, all: vec![&INFO, &OTHER] };
        let text = page(&infos, true, true);
        assert!(text.contains("<tr aria-current=\"true\"><th scope=\"row\"><code>sp&lt;e&gt;d<"));
        assert!(text.contains("<tr><th scope=\"row\"><code>other</code></th><td>the loop</td>"));
        assert!(text.contains("<td>&lt;another&gt;</td>"));
    }

    #[test]
    fn nothing_on_it_needs_a_script() {
        let text = page(&(&INFO).into(), true, true);
        assert!(!text.contains("<script") && !text.contains(" style="));
    }
}
