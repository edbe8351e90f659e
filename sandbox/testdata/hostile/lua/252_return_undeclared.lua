return { Int = 1, Text = "x", Zzz = 1 }
