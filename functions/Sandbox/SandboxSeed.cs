using System.Collections.Immutable;
using System.Globalization;

namespace DingFlow.Sandbox;

/// <summary>The directory as it is before anything happened in it.</summary>
internal static class SandboxSeed
{
    private static readonly DateTimeOffset Founded = new(2024, 1, 2, 1, 0, 0, TimeSpan.Zero);

    private static readonly ImmutableArray<string> Names =
    [
        "Ana Sousa", "陳美玲", "Bruno Leong", "Chan Ka Wai", "李志強", "Diana Fong", "Eva Novak", "黃詩敏", "Filipe Lam", "Grace Ho",
        "王芳", "Henrik Olsen", "Iris Cheong", "João Rosário", "林浩然", "Karin Weber", "Leong Chi Fai", "Maria Ieong", "Nuno Pereira", "吳嘉欣",
        "Olga Marek", "Pedro Wong", "趙敏", "Rita Cheng", "Sam Tou",
    ];

    public static ImmutableArray<SandboxDepartment> Departments { get; } =
    [
        new(1, "Sandbox Ltd", 0),
        new(101, "Finance", 1),
        new(102, "Engineering", 1),
        new(103, "Human Resources", 1),
        new(104, "Sales", 1),
        new(111, "Platform", 102),
    ];

    /// <summary>Ids 3 and 4 follow from being an administrator; the others are held explicitly.</summary>
    public static ImmutableArray<SandboxRole> Roles { get; } =
    [
        new(1, "负责人", 9001, "默认"),
        new(2, "主管", 9001, "默认"),
        new(3, "主管理员", 9001, "默认"),
        new(4, "子管理员", 9001, "默认"),
        new(11, "Accountant", 9002, "职务"),
        new(12, "Release manager", 9002, "职务"),
    ];

    /// <summary>How the members of an Entra group come about; a name that is not here is a group of the ordinary kind.</summary>
    public static SandboxGroupKind KindOfGroup(string name) => name switch
    {
        "All staff" => SandboxGroupKind.Dynamic,
        "Branch file share" => SandboxGroupKind.OnPremises,
        "Newsletter" => SandboxGroupKind.Distribution,
        "Helpdesk administrators" => SandboxGroupKind.RoleAssignable,
        _ => SandboxGroupKind.Assigned,
    };

    public static SandboxState State() => new()
    {
        Version = SandboxState.CurrentVersion,
        People = [Former(), .. Enumerable.Range(1001, 25).Select(number => Person(number, Names[number - 1001]))],
        LeaveRecords = [new("sb-0901", "Former Person", "10000000901", Founded.AddYears(1), "delete")],
        FailedPushes = [],
    };

    /// <summary>A person of the usual shape, for numbers from 1001 and for people added by hand.</summary>
    public static SandboxPerson Person(string employeeId)
    {
        var digits = employeeId.AsSpan().TrimStart("Ee");
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= 999_999
            ? Person(number, $"Person {employeeId}") with { EmployeeId = employeeId }
            : new SandboxPerson { EmployeeId = employeeId, Name = $"Person {employeeId}" };
    }

    private static SandboxPerson Person(int number, string name)
    {
        var digits = number.ToString("D4", CultureInfo.InvariantCulture);
        var email = $"e{digits}@sandbox.example";
        return new SandboxPerson
        {
            EmployeeId = $"E{digits}",
            Name = name,
            Mobile = string.Create(CultureInfo.InvariantCulture, $"1{number:D10}"),
            DingTalk = new SandboxDingTalkAccount
            {
                UserId = $"sb-{digits}",
                UnionId = $"sbUnion{digits}iEiE",
                Kind = number is >= 1021 and <= 1025 ? SandboxAccountKind.Ordinary : SandboxAccountKind.Enterprise,
                LoginType = number is 1015 or 1016 ? SandboxLoginType.Sso : SandboxLoginType.DingTalk,
                JobNumber = $"E{digits}",
                Email = email,
                Administrator = number switch
                {
                    1018 => SandboxAdministrator.Main,
                    1016 or 1017 => SandboxAdministrator.Sub,
                    _ => SandboxAdministrator.None,
                },
                DepartmentIds = [(number % 5) switch { 0 => 101, 1 => 102, 2 => 103, 3 => 104, _ => 111 }],
                RoleIds = (number % 7) switch { 0 => [11], 3 => [12], _ => [] },
            },
            Entra = new SandboxEntraAccount
            {
                ObjectId = string.Create(CultureInfo.InvariantCulture, $"5a4d0000-0000-4000-8000-{number:D12}"),
                UserPrincipalName = email,
                Mail = email,
                EmployeeId = $"E{digits}",
                CreatedAt = Founded,
                SessionsValidFrom = Founded,
                OnPremisesSyncEnabled = number == 1019,
                Groups = number % 2 == 0 ? ["All staff", "VPN"] : ["All staff"],
                DirectoryRoles = number is 1017 or 1018 ? ["Global Administrator"] : [],
            },
        };
    }

    /// <summary>Somebody who left before: in the leave records and the deleted items, and nowhere else.</summary>
    private static SandboxPerson Former()
    {
        var person = Person(901, "Former Person");
        return person with
        {
            DingTalk = person.DingTalk! with { Member = false, Disabled = true, Sessions = 0 },
            Entra = person.Entra! with { AccountEnabled = false, Sessions = 0, DeletedAt = Founded.AddYears(1) },
        };
    }
}
