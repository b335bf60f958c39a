"""The routes of the web pages, one router per module."""
