//! The welcome page: what a server without a root shows at `/`.
//!
//! Which model this is, a picture of who does which task, links to whatever else there is to see.
//! Everything on it is known at start, so it is prepared once.

use std::fmt::Write as _;
use std::io;

use http::Status;

use super::demo::refuse_method;
use super::pages::text::escape;
use super::pages::{self, HTML, NO_STORE, NOSNIFF, Page, picture};
use crate::app::{Prepared, Request, Response, reads};
use crate::model::ModelInfo;

/// Links to the demonstration routes: where, what is shown of it, what it does.
const DEMO: [(&str, &str, &str); 6] = [
    ("plaintext", "/plaintext", "Hello, World!, prepared once: what the server itself costs"),
    ("json", "/json", "the same as JSON"),
    ("echo", "/echo", "your request as it was received, head and body"),
    ("work?us=200000", "/work?us=N", "computes for N microseconds (here 0.2 s): work"),
    ("sleep?ms=1000", "/sleep?ms=N", "waits for N milliseconds, as for another service"),
    ("bytes?n=1000000", "/bytes?n=N", "a response of N bytes, made as you take it"),
];

/// Links to the status routes.
const STATUS: [(&str, &str, &str); 3] = [
    ("status", "/status", "connections, requests, rates: live"),
    ("status.json", "/status.json", "the same numbers as JSON"),
    ("metrics", "/metrics", "the same for Prometheus"),
];

/// The welcome page, prepared.
pub struct Welcome {
    page: Prepared,
}

impl Welcome {
    /// The page of the model that `info` describes, with links to the routes that are on.
    ///
    /// # Errors
    /// A prepared field that is none: a mistake in this file.
    pub fn new(info: &ModelInfo, demo: bool, status: bool) -> io::Result<Self> {
        let policy = pages::policy(None);
        let fields = [
            HTML,
            NO_STORE,
            NOSNIFF,
            ("Content-Security-Policy", &policy),
            ("Referrer-Policy", "no-referrer"),
        ];
        let page = Prepared::new(Status::OK, &fields, page(info, demo, status))
            .map_err(|_| io::Error::other("a prepared answer's field is not valid"))?;
        Ok(Welcome { page })
    }

    /// Answers, at once.
    pub fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) {
        if !reads(request.method()) {
            return refuse_method(request, response);
        }
        response.prepared(&self.page);
    }
}

/// The document.
fn page(info: &ModelInfo, demo: bool, status: bool) -> String {
    let mut body = String::with_capacity(8 * 1024);
    header(&mut body, info, status);
    let _ = write!(
        body,
        "<h2>Who does which task</h2>\n<figure class=\"panel\">\n{}</figure>\n",
        picture::picture(info)
    );
    model(&mut body, info);
    if demo {
        links(&mut body, "Try it", &DEMO);
    }
    if status {
        links(&mut body, "Watch it", &STATUS);
    }
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

/// What the model decides, in its description's own words and its own picture.
fn model(body: &mut String, info: &ModelInfo) {
    let _ = write!(
        body,
        "<h2>How it goes about it</h2>\n<div class=\"panel\"><pre>{}</pre></div>\n\
         <p>In flight at most: {}.</p>\n",
        escape(info.picture.trim_matches('\n')),
        escape(info.in_flight.trim_end_matches('.'))
    );
}

fn links(body: &mut String, title: &str, links: &[(&str, &str, &str)]) {
    let _ = writeln!(body, "<h2>{title}</h2>\n<div class=\"panel\"><table class=\"links\">");
    for (target, shown, what) in links {
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\"><a href=\"{target}\"><code>{shown}</code></a></th>\
             <td class=\"help\">{what}</td></tr>"
        );
    }
    body.push_str("</table></div>\n");
}

/// What to do next: a root of one's own.
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
    };

    #[test]
    fn the_page_shows_the_card() {
        let text = page(&INFO, true, true);
        for part in [
            "<h1>sp&lt;e&gt;d</h1>",
            "Single &amp; Process",
            "&quot;lesson&quot;",
            "<pre>  &lt;-- o --&gt;</pre>",
            "In flight at most: many.</p>",
            "<svg class=\"picture\"",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn only_what_is_on_is_linked() {
        let linked = |demo, status| {
            let text = page(&INFO, demo, status);
            (text.contains("href=\"plaintext\""), text.contains("href=\"status\""))
        };
        assert_eq!(linked(true, true), (true, true));
        assert_eq!(linked(false, true), (false, true));
        assert_eq!(linked(true, false), (true, false));
        assert_eq!(linked(false, false), (false, false));
    }

    #[test]
    fn every_link_is_a_route_that_exists() {
        let path = |target: &str| format!("/{}", target.split('?').next().unwrap_or_default());
        for (target, _, _) in DEMO {
            assert!(crate::site::demo::route(path(target).as_bytes()).is_some(), "{target}");
        }
        for (target, _, _) in STATUS {
            assert!(crate::site::status::route(path(target).as_bytes()).is_some(), "{target}");
        }
    }

    #[test]
    fn nothing_on_it_needs_a_script() {
        let text = page(&INFO, true, true);
        assert!(!text.contains("<script") && !text.contains(" style="));
    }
}
