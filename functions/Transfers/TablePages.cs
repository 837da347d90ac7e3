namespace DingFlow.Transfers;

/// <summary>
/// Memory of hash tables in pages of one size: what a growing table leaves behind is what it, or the next one, is made of. Nothing waits for
/// the garbage collector, and none of it is a large object. Tables of less than a page have an array of their own. One thread at a time.
/// </summary>
internal sealed class TablePages<T>
    where T : struct
{
    /// <summary>Places in a page, as a power of two; a page stays below the size of a large object.</summary>
    public const int Bits = 10;

    public const int Mask = Places - 1;

    private const int Places = 1 << Bits;
    private const int SmallStep = 16;

    /// <summary>Pages kept for the next table; what is beyond is left to the garbage collector.</summary>
    private const int MostKept = 64;

    private readonly Stack<T[]> _free = new();

    /// <summary>The number of places that a table of at least so many has.</summary>
    public static int Rounded(int capacity)
    {
        var step = capacity > Places ? Places : SmallStep;
        return checked((capacity + step - 1) / step * step);
    }

    /// <summary>How many pages hold so many places.</summary>
    public static int PagesFor(int capacity) => (capacity + Places - 1) / Places;

    /// <summary>An empty page for a table of so many places.</summary>
    public T[] Take(int capacity)
    {
        if (capacity < Places)
        {
            return new T[capacity];
        }

        if (!_free.TryPop(out var page))
        {
            return new T[Places];
        }

        Array.Clear(page);
        return page;
    }

    /// <summary>Takes back a page that no table uses any more.</summary>
    public void Return(T[] page)
    {
        if (page.Length == Places && _free.Count < MostKept)
        {
            _free.Push(page);
        }
    }
}
