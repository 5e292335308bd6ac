"""Draw the leaderboard of several evaluations as one page that sorts and filters."""
