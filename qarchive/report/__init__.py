"""Pages about jobs: what an archive holds, for people who would rather look. One HTML file each, without scripts."""
