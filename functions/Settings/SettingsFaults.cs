namespace DingFlow.Settings;

/// <summary>Collects every fault of the settings, so that a start that fails names all of them at once.</summary>
public sealed class SettingsFaults
{
    private readonly List<string> _faults = [];

    /// <summary>One line per fault, each beginning with the setting's name. Never a secret's value.</summary>
    public IReadOnlyList<string> All => _faults;

    /// <summary>Adds a fault of one setting. The same fault found again, because a setting is read in several places, counts once.</summary>
    public void Add(string setting, string fault)
    {
        var line = $"{setting}: {fault}";
        if (!_faults.Contains(line))
        {
            _faults.Add(line);
        }
    }

    /// <summary>Ends the start when there is a fault.</summary>
    /// <exception cref="SettingsException">There is at least one.</exception>
    public void ThrowIfAny()
    {
        if (_faults.Count > 0)
        {
            throw new SettingsException(_faults);
        }
    }
}

/// <summary>The settings are missing or malformed; the program must not start.</summary>
public sealed class SettingsException(IReadOnlyList<string> faults) : Exception(string.Join(Environment.NewLine, faults))
{
    /// <summary>One line per fault.</summary>
    public IReadOnlyList<string> Faults { get; } = faults;
}
