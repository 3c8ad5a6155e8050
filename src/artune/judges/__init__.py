"""Who recognises what: styles and contents, and classes of them."""
