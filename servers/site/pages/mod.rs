//! What the server's own pages have in common: their shell, their policy, their escaping.
