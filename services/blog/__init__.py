"""Blogs: entries of any length, each with a visibility of its own, drafts of them, and comments on them.

Owns `blog_entries`, `drafts`, `comments` and `claims`; publishes `blog.entry_published`, `blog.entry_edited`,
`blog.entry_deleted`, `blog.media_dropped` and `blog.commented`; calls social_graph to decide who may see what.
"""
