"""Reports as files: each writer turns columns and chunks of raw rows into chunks of bytes, in constant memory."""
