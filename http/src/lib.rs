//! A minimal, strict, sans-IO HTTP/1.1 parser.
