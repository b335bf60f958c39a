"""What a study is, and how it is planned, trained, analysed and reported."""
