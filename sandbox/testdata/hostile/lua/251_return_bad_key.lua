return { Int = 1, Text = "x", [1] = "y" }
