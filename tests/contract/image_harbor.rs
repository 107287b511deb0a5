//! The Image Harbor contract: local layout and S3.
