namespace DingFlow.Tests.Intake;

/// <summary>Garbles what a sender sends.</summary>
internal static class Mutations
{
    /// <summary>The bytes with some changed, removed, doubled or put elsewhere.</summary>
    public static byte[] Of(byte[] original, Random random)
    {
        var bytes = new List<byte>(original);
        for (var change = random.Next(1, 6); change > 0 && bytes.Count > 0; change--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(bytes.Count - at, random.Next(1, 20)));
                    break;
                case 2:
                    bytes.InsertRange(at, [.. bytes.Skip(random.Next(bytes.Count)).Take(random.Next(1, 40))]);
                    break;
                case 3:
                    bytes[at] = "{}[]\":,<>&=%0-"u8[random.Next(14)];
                    break;
                default:
                    bytes.InsertRange(at, "\\u0000\uD83D\uDE00\0"u8.ToArray());
                    break;
            }
        }

        return [.. bytes];
    }
}
